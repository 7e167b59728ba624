/**
 * Where a job's files come from and go to: plain folders become `local` endpoints, paths are brought to one form,
 * and what lies inside what is known.
 */

import { realpath } from 'node:fs/promises';
import { dirname, isAbsolute, join, posix, relative, resolve, sep } from 'node:path';
import type { FilePath } from '../sync/names.ts';
import type { EndpointEntry } from './config.ts';
import { didYouMean } from './nearest.ts';
import type { Advice, Finding } from './problems.ts';
import { isPlainObject } from './references.ts';
import type { PlaceInput } from './schema.ts';

/** The endpoints that a job may name. */
export interface Known {
  readonly valid: ReadonlyMap<string, EndpointEntry>;
  readonly broken: ReadonlySet<string>;
  /** endpoints.yaml cannot be read, so that nothing is known of any. */
  readonly unreadable: boolean;
}

/** @returns what is wrong with a place, if anything, by its own path (`[]`, `['endpoint']`, `['path']`) */
export function checkPlace(place: PlaceInput, known: Known): readonly Finding[] {
  if (typeof place === 'string') {
    const fault = checkFolder(place, known);
    return fault === undefined ? [] : [{ path: [], ...fault }];
  }
  const entry = known.valid.get(place.endpoint);
  if (entry === undefined) return [{ path: ['endpoint'], ...missingEndpoint(place.endpoint, known) }];
  const root = rootOf(entry);
  const fault = root === undefined ? checkRemotePath(place.path) : checkPathBelow(root, place.path);
  return fault === undefined ? [] : [{ path: ['path'], ...fault }];
}

function missingEndpoint(name: string, { valid, broken, unreadable }: Known): Advice {
  if (unreadable)
    return {
      message: `nothing is known of "${name}", because endpoints.yaml cannot be read`,
      remedy: 'solve that first',
    };
  if (broken.has(name))
    return { message: `"${name}" has a problem of its own in endpoints.yaml`, remedy: 'solve that first' };
  const meant = didYouMean(
    name,
    [...valid.keys(), ...broken].filter((other) => !other.startsWith(FOLDER)),
  );
  return { message: `there is no endpoint "${name}"`, remedy: meant ?? 'add it to endpoints.yaml' };
}

/** A plain text is a folder on this host; people also write names of endpoints and URLs there. */
function checkFolder(text: string, { valid, broken }: Known): Advice | undefined {
  const odd = checkOneLine(text);
  if (odd !== undefined) return odd;
  if (valid.has(text) || broken.has(text)) {
    return {
      message: `"${text}" is an endpoint, but a plain text means a folder`,
      remedy: `write { endpoint: ${text}, path: FOLDER }, or ./${text} for the folder`,
    };
  }
  const scp = /^([^/\\:]{2,}):(.*)$/.exec(text);
  if (scp === null) return undefined;
  const [, head = '', rest = ''] = scp;
  if (valid.has(head) || broken.has(head)) {
    return {
      message: `"${text}" would be a folder on this host`,
      remedy: `write { endpoint: ${head}, path: ${rest === '' ? 'FOLDER' : rest} }`,
    };
  }
  const what = rest.startsWith('//') ? 'is a URL' : 'looks like a path on a server';
  return {
    message: `"${text}" ${what}, and a plain text means a folder on this host`,
    remedy:
      'describe the server in endpoints.yaml and write { endpoint: NAME, path: FOLDER }, or begin with ./ if it is a folder',
  };
}

export function checkOneLine(path: string): Advice | undefined {
  return /[\0\r\n]/.test(path) ? { message: 'a path is written on one line' } : undefined;
}

export function checkRemotePath(path: string): Advice | undefined {
  const odd = checkOneLine(path);
  if (odd !== undefined) return odd;
  if (path === '~' || path.startsWith('~/')) {
    const rest = path.slice(2) === '' ? '""' : `"${path.slice(2)}"`;
    return {
      message: '~ means nothing at an endpoint',
      remedy: `a path without a leading / starts where the login does: write ${rest}`,
    };
  }
  if (path.split('/').includes('..'))
    return { message: `"${path}" holds ".."`, remedy: 'write the path from / on' };
  if (path.includes('\\') && !path.includes('/'))
    return { message: `"${path}" holds a backslash`, remedy: 'separate folders by "/"' };
  return undefined;
}

function checkPathBelow(root: string, path: string): Advice | undefined {
  const odd = checkOneLine(path);
  if (odd !== undefined) return odd;
  const start = `paths at this endpoint start at its own folder, ${root}`;
  if (path.split(/[/\\]/).includes('..'))
    return { message: `"${path}" leads out of the endpoint`, remedy: start };
  const inside = isAbsolute(path) ? below(root, path) : undefined;
  if (inside === undefined || root === '/') return undefined;
  return { message: `"${path}" says the endpoint's own folder again`, remedy: `${start}: write "${inside}"` };
}

const FOLDER = 'folder:';

/** What a plain folder's endpoint is called. */
export function folderEndpoint(absolute: string): string {
  return `${FOLDER}${absolute}`;
}

/** The folder of a `local` endpoint; undefined for every other kind. */
export function rootOf(entry: EndpointEntry): string | undefined {
  if (entry.kind !== 'local' || !isPlainObject(entry.settings)) return undefined;
  return typeof entry.settings.path === 'string' ? entry.settings.path : undefined;
}

/** One form for each place at an endpoint: no `./`, no doubled or trailing slashes; below a local endpoint no leading one. */
export function tidyPath(path: string, isLocal: boolean): FilePath {
  if (path === '') return '';
  const tidy = posix.normalize(isLocal ? path.replaceAll('\\', '/') : path);
  const cut = tidy.length > 1 ? tidy.replace(/\/+$/, '') : tidy;
  const start = isLocal ? cut.replace(/^\/+/, '') : cut;
  return start === '.' ? '' : start;
}

/** The path from a folder of this host to something inside it (`''` for itself), with `/`; undefined when it is outside. */
export function below(folder: string, path: string): FilePath | undefined {
  const way = relative(folder, path);
  if (way === '..' || way.startsWith(`..${sep}`) || isAbsolute(way)) return undefined;
  return way.split(sep).join('/');
}

/** Where something is, so that two can be compared. */
export interface Location {
  /** An endpoint, or `''` for this host. */
  readonly system: string;
  readonly path: string;
}

/** Links are followed as far as the path exists. */
export async function locate(entry: EndpointEntry, path: FilePath): Promise<Location> {
  const root = rootOf(entry);
  if (root === undefined) return { system: entry.name, path };
  return { system: '', path: await followed(resolve(root, path)) };
}

export async function followed(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(await followed(parent), relative(parent, path));
  }
}

/** The way from one place to another inside it, `''` when they are the same; undefined when it is not inside or not known. */
export function wayInto(outer: Location, inner: Location): FilePath | undefined {
  if (outer.system !== inner.system) return undefined;
  if (outer.system === '') return below(outer.path, inner.path);
  if (outer.path.startsWith('/') !== inner.path.startsWith('/')) return undefined;
  if (outer.path === inner.path) return '';
  const start = outer.path === '' || outer.path === '/' ? outer.path : `${outer.path}/`;
  return inner.path.startsWith(start) ? inner.path.slice(start.length) : undefined;
}
