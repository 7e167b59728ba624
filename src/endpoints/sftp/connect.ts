/**
 * Connects an endpoint: road, host key, login, SFTP. A server has several host keys; where the one that it shows
 * first is not the one that is pinned, it is asked for the others before anything is said to have changed.
 */

import type { Passed, Road } from '../../roads/road.ts';
import { Fault } from '../../sync/errors.ts';
import { type Dialled, dial } from './dial.ts';
import { FAMILIES, familyOf, type HostKey, HostKeys, hostKeyOf } from './hostkeys.ts';
import { type Login, loadLogin } from './login.ts';
import type { Memory } from './remote.ts';
import type { SftpSettings } from './settings.ts';

export interface ConnectPlan {
  readonly name: string;
  readonly settings: SftpSettings;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly road: Road;
  readonly memory: Memory;
  /** False for a jump host. */
  readonly sftp: boolean;
}

/** @throws Fault `unreachable` | `rejected` | `aborted` */
export async function connect(plan: ConnectPlan, signal: AbortSignal, passed?: Passed): Promise<Dialled> {
  const { name, settings, memory } = plan;
  const hostKeys = await HostKeys.load(name, settings);
  let families = inOrder([...(memory.family === undefined ? [] : [memory.family]), ...hostKeys.families]);
  let login: Promise<Login> | undefined;
  let refusal: Fault | undefined;
  for (;;) {
    let shown: HostKey | undefined;
    try {
      const dialled = await dial(
        {
          name,
          settings,
          road: plan.road,
          sftp: plan.sftp,
          known: memory.family !== undefined,
          families,
          verify: (key) => {
            if (hostKeys.pinned(key)) return undefined;
            shown = hostKeyOf(key);
            return hostKeys.refusal(key);
          },
          login: () => {
            login ??= loadLogin(name, settings, plan.env);
            return login;
          },
        },
        signal,
        passed,
      );
      memory.family = familyOf(dialled.hostKey.type);
      return dialled;
    } catch (error) {
      const fault =
        error instanceof Fault ? error : new Fault('unreachable', String(error), { cause: error });
      if (fault.code !== 'HOST_KEY_CHANGED' || shown === undefined) {
        throw fault.code === 'NO_COMMON_ALGORITHM' && refusal !== undefined ? refusal : fault;
      }
      refusal ??= fault;
      const other = familyOf(shown.type);
      families = families.filter((family) => family !== other);
      if (families.length === 0) throw refusal;
    }
  }
}

export interface Shown extends HostKey {
  readonly pinned: boolean;
}

/** Connections made to see whether there are several hosts behind the name: two are both seen in 15 of 16 cases. */
const LOOKS = 5;

/** The host keys that the servers behind the name show, the preferred first, without logging in. Errors as `connect`. */
export async function shownHostKeys(
  plan: ConnectPlan,
  signal: AbortSignal,
  passed?: Passed,
): Promise<readonly Shown[]> {
  const hostKeys = await HostKeys.load(plan.name, plan.settings);
  const seen = new Map<string, Shown>();
  const look = async (families: readonly string[]): Promise<string> => {
    let shown: Shown | undefined;
    const enough = new Fault('aborted', 'the host key was seen');
    try {
      await dial(
        {
          ...plan,
          known: false,
          families,
          verify: (key) => {
            if (hostKeys.revoked(key)) return hostKeys.refusal(key);
            shown = { ...hostKeyOf(key), pinned: hostKeys.pinned(key) };
            return enough;
          },
          login: async () => ({ methods: [], tried: [] }),
        },
        signal,
        passed,
      );
    } catch (error) {
      if (shown === undefined) throw error;
    }
    if (shown === undefined) return '';
    seen.set(shown.fingerprint, shown);
    return familyOf(shown.type);
  };

  const all = inOrder([]);
  const first = await look(all);
  for (let more = 1; more < LOOKS; more += 1) await look(all);
  for (const family of all) {
    if (family === first) continue;
    await look([family]).catch((error: unknown) => {
      if (error instanceof Fault && error.code === 'NO_COMMON_ALGORITHM') return; // it has no such key
      throw error;
    });
  }
  return [...seen.values()];
}

/** All families, these first. */
function inOrder(first: readonly string[]): readonly string[] {
  return [...new Set([...first, ...Object.keys(FAMILIES)])];
}
