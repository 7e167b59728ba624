/** Jump hosts between endpoints (`via`): each must be a valid sftp endpoint, and none may lead back to itself. */

import { didYouMean } from './nearest.ts';
import type { Finding } from './problems.ts';

export interface RoadsOptions {
  readonly names: readonly string[];
  /** The jump hosts that each endpoint names. */
  readonly vias: ReadonlyMap<string, readonly string[]>;
  kindOf(name: string): string | undefined;
  /** False for an entry that has problems of its own. */
  valid(name: string): boolean;
}

/** @returns a finding for each endpoint that cannot be reached as it is written, with its name */
export function brokenRoads(options: RoadsOptions): (Finding & { readonly name: string })[] {
  const { names, vias, valid } = options;
  const broken = new Map<string, Finding>();
  for (const name of names) {
    const fault = wrongHop(name, options) ?? loop(name, options);
    if (fault !== undefined) broken.set(name, fault);
  }
  // What goes through a broken endpoint is broken as well, and so on.
  const isBroken = (name: string): boolean => broken.has(name) || !valid(name);
  for (let changed = true; changed; ) {
    changed = false;
    for (const name of names) {
      const hop = isBroken(name) ? undefined : vias.get(name)?.find(isBroken);
      if (hop === undefined) continue;
      broken.set(name, { path: ['via'], message: `cannot be used before the problem of "${hop}" is solved` });
      changed = true;
    }
  }
  return [...broken].map(([name, finding]) => ({ name, ...finding }));
}

function wrongHop(name: string, { names, vias, kindOf }: RoadsOptions): Finding | undefined {
  for (const hop of vias.get(name) ?? []) {
    if (!names.includes(hop)) {
      const remedy =
        didYouMean(
          hop,
          names.filter((other) => other !== name),
        ) ?? 'add it to endpoints.yaml';
      return { path: ['via'], message: `via: there is no endpoint "${hop}"`, remedy };
    }
    const kind = kindOf(hop);
    if (kind !== undefined && kind !== 'sftp') {
      return {
        path: ['via'],
        message: `via: "${hop}" is of type ${kind}`,
        remedy: 'a jump host is an sftp endpoint',
      };
    }
  }
  return undefined;
}

function loop(name: string, { vias }: RoadsOptions): Finding | undefined {
  const seen = new Set<string>();
  const search = (at: string, trail: readonly string[]): readonly string[] | undefined => {
    for (const hop of vias.get(at) ?? []) {
      if (hop === name) return [...trail, hop];
      if (seen.has(hop)) continue;
      seen.add(hop);
      const found = search(hop, [...trail, hop]);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  const trail = search(name, [name]);
  if (trail === undefined) return undefined;
  return {
    path: ['via'],
    message: `via goes round in a circle: ${trail.join(' → ')}`,
    remedy: 'a jump host must be reachable without what lies behind it',
  };
}

/** All jump hosts on the way to an endpoint, those of its jump hosts too. Only where none leads in a circle. */
export function hopsOf(name: string, vias: ReadonlyMap<string, readonly string[]>): readonly string[] {
  return (vias.get(name) ?? []).flatMap((hop) => [hop, ...hopsOf(hop, vias)]);
}
