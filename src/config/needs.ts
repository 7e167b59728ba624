/** Endpoints that others need: as jump hosts (`via`), which must not lead back to themselves, and to stage files (`staging`). */

import { didYouMean } from './nearest.ts';
import type { Finding } from './problems.ts';
import { isPlainObject } from './references.ts';

export interface Need {
  /** The setting that names it. */
  readonly by: 'via' | 'staging';
  readonly name: string;
}

export type Needs = ReadonlyMap<string, readonly Need[]>;

export interface NeedsOptions {
  readonly names: readonly string[];
  /** What each endpoint needs. */
  readonly needs: Needs;
  kindOf(name: string): string | undefined;
  /** False for an entry that has problems of its own. */
  valid(name: string): boolean;
}

/** What the endpoint must be, that a setting names. */
const RULES = {
  via: { kind: 'sftp', remedy: 'a jump host is an sftp endpoint' },
  staging: {
    kind: 's3',
    remedy: 'files are staged through an s3 endpoint, or in { bucket: NAME, prefix: FOLDER }',
  },
} as const;

/** What the settings of an endpoint name. */
export function needsOf(data: unknown): readonly Need[] {
  if (!isPlainObject(data)) return [];
  const named = (by: Need['by'], value: unknown): readonly Need[] =>
    (Array.isArray(value) ? value : [value])
      .filter((name) => typeof name === 'string')
      .map((name) => ({ by, name }));
  return [...named('via', data.via), ...named('staging', data.staging)];
}

/** @returns a finding for each endpoint that cannot be reached as it is written, with its name */
export function brokenNeeds(options: NeedsOptions): (Finding & { readonly name: string })[] {
  const { names, needs, valid } = options;
  const broken = new Map<string, Finding>();
  for (const name of names) {
    const fault = wrongNeed(name, options) ?? loop(name, options);
    if (fault !== undefined) broken.set(name, fault);
  }
  // What goes through a broken endpoint is broken as well, and so on.
  const isBroken = (name: string): boolean => broken.has(name) || !valid(name);
  for (let changed = true; changed; ) {
    changed = false;
    for (const name of names) {
      const need = isBroken(name) ? undefined : needs.get(name)?.find((other) => isBroken(other.name));
      if (need === undefined) continue;
      broken.set(name, {
        path: [need.by],
        message: `cannot be used before the problem of "${need.name}" is solved`,
      });
      changed = true;
    }
  }
  return [...broken].map(([name, finding]) => ({ name, ...finding }));
}

function wrongNeed(name: string, { names, needs, kindOf }: NeedsOptions): Finding | undefined {
  for (const { by, name: needed } of needs.get(name) ?? []) {
    if (!names.includes(needed)) {
      const others = names.filter((other) => other !== name);
      return {
        path: [by],
        message: `${by}: there is no endpoint "${needed}"`,
        remedy: didYouMean(needed, others) ?? 'add it to endpoints.yaml',
      };
    }
    const kind = kindOf(needed);
    const rule = RULES[by];
    if (kind !== undefined && kind !== rule.kind)
      return { path: [by], message: `${by}: "${needed}" is of type ${kind}`, remedy: rule.remedy };
  }
  return undefined;
}

/** Only jump hosts can lead in a circle: what files are staged through needs nobody. */
function loop(name: string, { needs }: NeedsOptions): Finding | undefined {
  const seen = new Set<string>();
  const search = (at: string, trail: readonly string[]): readonly string[] | undefined => {
    for (const { name: hop } of needs.get(at) ?? []) {
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

/** All that an endpoint needs, with what that needs in turn. Only where none leads in a circle. */
export function allNeeds(name: string, needs: Needs): readonly string[] {
  return (needs.get(name) ?? []).flatMap((need) => [need.name, ...allNeeds(need.name, needs)]);
}
