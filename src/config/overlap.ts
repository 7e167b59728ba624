/** Holds the parts of a job against each other: places that lie in one another, and what a source's kind cannot do. */

import { resolve } from 'node:path';
import picomatch from 'picomatch';
import type { Kind } from '../endpoints/index.ts';
import type { FilePath } from '../sync/names.ts';
import type { EndpointEntry } from './config.ts';
import {
  below,
  checkOneLine,
  checkRemotePath,
  followed,
  type Location,
  locate,
  rootOf,
  tidyPath,
  wayInto,
} from './places.ts';
import type { Finding } from './problems.ts';
import type { JobParts } from './schema.ts';

/** A place with its endpoint. */
export interface Side {
  readonly entry: EndpointEntry;
  readonly path: FilePath;
}

export interface Sides {
  readonly from: Side | undefined;
  /** Beside the places in `to`, where they are valid. */
  readonly to: readonly (Side | undefined)[];
}

export interface OverlapOptions {
  readonly kinds: Readonly<Record<string, Kind>>;
  /** Ferry's own: ledger, queue, sandbox. */
  readonly dataFolder?: string;
  /** A path on this host as written → absolute. */
  absolute(path: string): string;
}

/** @returns findings by their path in the job */
export async function holdTogether(
  parts: JobParts,
  sides: Sides,
  options: OverlapOptions,
): Promise<readonly Finding[]> {
  const { from, to } = sides;
  const findings: Finding[] = sameTwice(to);
  if (from === undefined) return findings;
  findings.push(...whenFindings(parts, from), ...sourceFindings(parts, from, options));
  const source = await locate(from.entry, from.path);
  const targets = await Promise.all(
    to.map((side) => (side === undefined ? undefined : locate(side.entry, side.path))),
  );
  for (const [index, target] of targets.entries()) {
    const way = target === undefined ? undefined : wayInto(source, target);
    const fault = way === undefined ? undefined : loopFault(way, parts);
    if (fault !== undefined) findings.push({ path: ['to', index], ...fault });
  }
  findings.push(...(await ownDataFindings(parts, source, options)));
  findings.push(...archivePathFindings(parts, from));
  const archive = await archiveLocation(parts, from, options);
  if (archive !== undefined) findings.push(...archiveFindings(archive, source, targets));
  return findings;
}

function sameTwice(to: Sides['to']): Finding[] {
  return to.flatMap((side, index) => {
    const first = to.findIndex(
      (other) => other !== undefined && other.entry.name === side?.entry.name && other.path === side.path,
    );
    return side === undefined || first === index
      ? []
      : [{ path: ['to', index], message: 'the same place is in "to" twice', remedy: 'leave one out' }];
  });
}

function whenFindings({ when }: JobParts, { entry }: Side): Finding[] {
  if (when?.watch !== true || when.poll !== undefined || entry.kind === 'local') return [];
  const message = `a folder at "${entry.name}" (${entry.kind}) cannot be watched as a local one can`;
  return [{ path: ['when', 'watch'], message, remedy: 'add poll: 1m to look there so often, or use cron' }];
}

function sourceFindings({ after }: JobParts, { entry }: Side, { kinds }: OverlapOptions): Finding[] {
  const cannot = kinds[entry.kind]?.cannot ?? [];
  const what = `"${entry.name}" (${entry.kind})`;
  if (cannot.includes('source'))
    return [
      { path: ['from'], message: `files cannot be fetched from ${what}`, remedy: 'it can stand in "to"' },
    ];
  if (after === 'delete' && cannot.includes('delete'))
    return [{ path: ['after'], message: `files at ${what} cannot be deleted`, remedy: 'write after: keep' }];
  if (typeof after === 'object' && cannot.includes('archive'))
    return [
      {
        path: ['after', 'archive'],
        message: `files at ${what} cannot be moved`,
        remedy: 'write after: keep',
      },
    ];
  return [];
}

/** The ledger changes with each delivery: it would be sent without end. */
async function ownDataFindings(
  parts: JobParts,
  source: Location,
  { dataFolder }: OverlapOptions,
): Promise<readonly Finding[]> {
  if (dataFolder === undefined || source.system !== '') return [];
  const way = wayInto(source, { system: '', path: await followed(dataFolder) });
  if (way === undefined || isLeftOut(way, parts)) return [];
  return [
    {
      path: ['from'],
      message: `Ferry's own data (FERRY_DATA, ${dataFolder}) lies inside this folder: it would be sent, without end`,
      remedy: `choose another folder for either${way === '' ? '' : `, or add "${way}/**" to "ignore"`}`,
    },
  ];
}

/** Whether scans never look into a folder of the source. */
function isLeftOut(way: FilePath, { ignore }: JobParts): boolean {
  if (way.split('/').some((name) => name.startsWith('.'))) return true;
  const ignored = picomatch([...ignore], { dot: true });
  return ignore.length > 0 && ignored(`${way}/x`) && ignored(`${way}/y/z.w`);
}

/** A destination inside the source is fed again and again, unless scans leave it out. */
function loopFault(way: FilePath, parts: JobParts): Omit<Finding, 'path'> | undefined {
  if (way === '') return { message: '"to" is the same place as "from"', remedy: 'choose another' };
  if (isLeftOut(way, parts)) return undefined;
  return {
    message: `this folder lies inside "from" ("${way}"): what arrives would be sent again, without end`,
    remedy: `choose a folder outside, or add "${way}/**" to "ignore"`,
  };
}

/** Where the archive is. A local source's archive is a folder of this host; another's is a path there. */
async function archiveLocation(
  { after }: JobParts,
  { entry }: Side,
  { absolute }: OverlapOptions,
): Promise<Location | undefined> {
  if (typeof after !== 'object') return undefined;
  if (rootOf(entry) !== undefined)
    return locate({ ...entry, settings: { path: absolute(after.archive) } }, '');
  return { system: entry.name, path: tidyPath(after.archive, false) };
}

function archiveFindings(
  archive: Location,
  source: Location,
  targets: readonly (Location | undefined)[],
): Finding[] {
  const at = ['after', 'archive'];
  if (wayInto(archive, source) === '')
    return [{ path: at, message: 'the archive is the same folder as "from"', remedy: 'choose another' }];
  const taken = targets.some((target) => target !== undefined && wayInto(archive, target) === '');
  return taken
    ? [{ path: at, message: 'the archive is the same folder as "to"', remedy: 'choose another' }]
    : [];
}

function archivePathFindings({ after }: JobParts, { entry }: Side): Finding[] {
  if (typeof after !== 'object') return [];
  const fault = rootOf(entry) === undefined ? checkRemotePath(after.archive) : checkOneLine(after.archive);
  return fault === undefined ? [] : [{ path: ['after', 'archive'], ...fault }];
}

/** The archive as the source's session takes it: relative to a local endpoint's folder where it is inside, else absolute. */
export function archivePath(archive: string, from: Side, { absolute }: OverlapOptions): FilePath {
  const root = rootOf(from.entry);
  if (root === undefined) return tidyPath(archive, false);
  const folder = absolute(archive);
  return below(root, folder) ?? resolve(folder);
}
