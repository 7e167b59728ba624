/** Which files of a source a job is about, by name alone. */

import picomatch from 'picomatch';
import type { Job } from './job.ts';
import { type FilePath, folderOf, joinPath, nameOf, OWN_PREFIX } from './names.ts';

/** For regular expressions: `.` stands for line breaks too, which a name may hold. */
const ANY_CHARACTER = 's';

/** Why a file is not the job's, in words; undefined when it is. */
export type Select = (path: FilePath) => string | undefined;

/** @param path of the files asked about: relative to the job's source */
export function selector(job: Job): Select {
  const match = picomatch([...job.match], { dot: false, flags: ANY_CHARACTER });
  const ignore =
    job.ignore.length === 0 ? undefined : picomatch([...job.ignore], { dot: true, flags: ANY_CHARACTER });
  const archive = archiveInside(job);
  const marker = job.done === undefined ? undefined : markerPattern(job.done);
  return (path) => {
    if (isHidden(path)) return 'a dotfile';
    if (archive !== undefined && path.startsWith(archive)) return 'in the archive folder';
    if (marker?.test(nameOf(path))) return 'a marker';
    if (ignore?.(path)) return 'ignored by the job';
    if (!match(path)) return 'not matched by the job';
    return undefined;
  };
}

/** Whether a scan has to look into a folder (relative to the source). */
export function enters(job: Job): (folder: FilePath) => boolean {
  const archive = archiveInside(job);
  return (folder) => {
    const name = nameOf(folder);
    if (name.startsWith('.') || name.startsWith(OWN_PREFIX)) return false;
    return archive === undefined || !`${folder}/`.startsWith(archive);
  };
}

/** Path of the marker that makes a file due. */
export function markerOf(done: string, path: FilePath): FilePath {
  const name = nameOf(path);
  const dot = name.lastIndexOf('.');
  const stem = dot > 0 ? name.slice(0, dot) : name;
  return joinPath(
    folderOf(path),
    done.replaceAll('{name}', () => name).replaceAll('{stem}', () => stem),
  );
}

function isHidden(path: FilePath): boolean {
  return path.startsWith('.') || path.includes('/.');
}

/** The archive folder relative to the source, with a slash behind it, where it lies inside. */
function archiveInside(job: Job): FilePath | undefined {
  if (job.after.action !== 'archive') return undefined;
  const archive = `${job.after.path.replace(/\/+$/, '')}/`;
  const from = job.from.path.replace(/\/+$/, '');
  if (from === '') return archive.startsWith('/') ? undefined : archive;
  return archive.startsWith(`${from}/`) ? archive.slice(from.length + 1) : undefined;
}

function markerPattern(done: string): RegExp {
  const parts = done.split(/\{name\}|\{stem\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.+')}$`, 's');
}
