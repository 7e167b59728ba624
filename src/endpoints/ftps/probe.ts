/**
 * `ferry check`: walks the way to a server and does everything once that a delivery does, each step with what was
 * seen, until one breaks. Leaves nothing behind.
 */

import { randomBytes } from 'node:crypto';
import { asFault, Fault } from '../../sync/errors.ts';
import { type FilePath, folderOf, joinPath, OWN_PREFIX, printable } from '../../sync/names.ts';
import { failedStep, type ProbeOptions, type ProbeStep } from '../endpoint.ts';
import type { Connection } from './connection.ts';
import type { FtpsEndpoint } from './endpoint.ts';
import { replyFault } from './faults.ts';
import { Lanes } from './lanes.ts';
import { look } from './look.ts';
import { publish, removeIfThere, rename } from './publish.ts';
import { isGood, sizeIn } from './reply.ts';
import { listOnce, reuseVerdict } from './reuse.ts';
import { transfer } from './transfer.ts';

const CONTENT = Buffer.from('Written by "ferry check"; it removes this file again.\n');

/** The step that a fault of the connect belongs to, where its code says so. */
const STEP_OF: readonly (readonly [step: string, codes: RegExp])[] = [
  ['name', /^(ENOTFOUND|EAI_AGAIN)$/],
  ['tcp', /^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL)$/],
  ['tls', /^(CA_|CERT_|TLS_|NOT_TLS|IMPLICIT_TLS)/],
  ['greeting', /^(GREETING_|SSH_ANSWER|HTTP_ANSWER)/],
  ['login', /^LOGIN_/],
  ['protection', /^PROTECTION_/],
];
/** In the order in which a connect passes them, for faults whose code does not say. */
const WAY: readonly string[] = ['name', 'tcp', 'greeting', 'tls', 'login', 'protection'];

/** With the time since the step before; filled in where it is missing. */
type Step = ProbeStep;

/** Never throws. */
export async function* probe(
  endpoint: FtpsEndpoint,
  folder: FilePath,
  options: ProbeOptions,
): AsyncGenerator<ProbeStep, void, undefined> {
  let sinceMs = performance.now();
  const walk = new Walk(endpoint, folder, options);
  for await (const step of walk.steps()) {
    const nowMs = performance.now();
    yield { ms: Math.round(nowMs - sinceMs), ...step };
    sinceMs = nowMs;
  }
}

class Walk {
  readonly #endpoint: FtpsEndpoint;
  readonly #folder: FilePath;
  readonly #signal: AbortSignal;
  readonly #writes: boolean;
  #step = 'folder';

  constructor(endpoint: FtpsEndpoint, folder: FilePath, { signal, use }: ProbeOptions) {
    this.#endpoint = endpoint;
    this.#folder = folder;
    this.#signal = signal;
    this.#writes = use !== 'read';
  }

  async *steps(): AsyncGenerator<Step, void, undefined> {
    const passed: Step[] = [];
    let sinceMs = performance.now();
    const pass = (step: string, saw: string): void => {
      const nowMs = performance.now();
      passed.push({ step, ok: true, saw, ms: Math.round(nowMs - sinceMs) });
      sinceMs = nowMs;
    };
    let connection: Connection;
    try {
      connection = await this.#endpoint.open(this.#signal, pass);
    } catch (error) {
      const fault = asFault(error, this.#signal);
      yield* passed;
      yield failedStep(brokenStep(fault, passed), fault);
      return;
    }
    yield* passed;
    await using lanes = new Lanes(connection, (signal) => this.#endpoint.open(signal));
    try {
      yield* this.#atWork(lanes);
    } catch (error) {
      yield failedStep(this.#step, asFault(error, this.#signal));
    }
  }

  async *#atWork(lanes: Lanes): AsyncGenerator<Step, void, undefined> {
    const at = <T>(step: string, work: (connection: Connection) => Promise<T>): Promise<T> => {
      this.#step = step;
      return lanes.use(this.#signal, work);
    };
    const looked = await at('folder', (connection) => this.#nearest(connection));
    const { reused, port } = await at('data', (connection) => this.#listing(connection, looked.there));
    yield { step: 'data', ok: true, saw: `a listing came over port ${port} (${lanes.main.passive})` };
    this.#step = 'session reuse';
    yield await reuseVerdict(this.#endpoint, reused, looked.there, this.#signal);
    yield looked.step;
    if (this.#writes) yield* this.#changing(lanes, looked.there);
    yield capabilitiesOf(lanes.main, this.#endpoint.connections);
  }

  /** What a delivery does, once; nothing is left. */
  async *#changing(lanes: Lanes, folder: FilePath): AsyncGenerator<Step, void, undefined> {
    const at = <T>(step: string, work: (connection: Connection) => Promise<T>): Promise<T> => {
      this.#step = step;
      return lanes.use(this.#signal, work);
    };
    const token = `check${randomBytes(6).toString('hex').slice(0, 11)}`;
    const { memory } = lanes.main;
    const path = joinPath(folder, `${OWN_PREFIX}${token}.part`);
    const target = joinPath(folder, `${OWN_PREFIX}${token}.done`);
    try {
      await at('write', (connection) => this.#write(connection, path));
      const name = memory.renames ? 'a temporary name' : 'the final name';
      yield { step: 'write', ok: true, saw: `${CONTENT.length} bytes under ${name}` };
      if (memory.renames)
        yield await at('rename', (connection) => this.#rename(connection, path, target, token));
      await at('delete', (connection) => this.#clear(connection, [path, target]));
      yield { step: 'delete', ok: true, saw: 'removed again' };
    } finally {
      if (lanes.broken === undefined) {
        await lanes
          .use(this.#signal, (connection) => this.#clear(connection, [path, target]))
          .catch(() => undefined);
      }
    }
  }

  /** The folder to write in: the one that was asked for, or the nearest above that is there. */
  async #nearest(connection: Connection): Promise<{ readonly there: FilePath; readonly step: Step }> {
    const { control, name, home } = connection;
    const asked = this.#folder === '' ? home : this.#folder;
    let nearest = asked;
    for (;;) {
      const reply = await control.ask(`CWD ${connection.wire(nearest)}`);
      if (isGood(reply)) break;
      const facts = await look(connection, nearest);
      if (facts?.kind === 'folder') throw replyFault(reply, 'enter', nearest, name);
      if (facts !== undefined)
        throw new Fault('permanent', `${name}: ${printable(nearest)} is not a folder`, { code: 'ENOTDIR' });
      if (nearest === '' || nearest === '/') throw replyFault(reply, 'enter', nearest, name);
      nearest = folderOf(nearest);
    }
    const step: Step =
      nearest === asked
        ? { step: 'folder', ok: true, saw: printable(nearest === '' ? home : nearest) }
        : {
            step: 'folder',
            ok: true,
            warning: true,
            saw: `${printable(asked)} is not there yet`,
            advice: `The first delivery makes it, in ${printable(nearest === '' ? home : nearest)}; is the path right?`,
          };
    return { there: nearest, step };
  }

  async #listing(
    connection: Connection,
    folder: FilePath,
  ): Promise<{ readonly reused: boolean; readonly port: number }> {
    return await listOnce(connection, folder, this.#signal);
  }

  async #write(connection: Connection, path: FilePath): Promise<void> {
    const options = { command: `STOR ${connection.wire(path)}`, doing: 'write', path };
    await transfer(connection, { ...options, together: false, signal: this.#signal }, async (data) => {
      data.upload(connection.traits.commitsAtClose);
      await data.end(CONTENT);
    });
    const { setTime } = connection.traits;
    const wire = connection.wire(path);
    if (setTime !== undefined) {
      connection.memory.setsTime = isGood(await connection.control.ask(`${setTime} 20200102030405 ${wire}`));
    }
    const size = sizeIn(await connection.control.ask(`SIZE ${wire}`));
    if (size !== undefined && size !== CONTENT.length) {
      throw new Fault('transient', `${connection.name} did not keep what was written`, {
        code: 'SIZE_MISMATCH',
      });
    }
  }

  /** Once to a free name, and once over a file that is there. */
  async #rename(connection: Connection, path: FilePath, target: FilePath, token: string): Promise<Step> {
    const { memory, name } = connection;
    const first = await rename(connection, path, target);
    if (!isGood(first)) {
      if (first.code !== 550 && first.code !== 553 && first.code < 500)
        throw replyFault(first, 'rename', path, name);
      memory.renames = false;
      return {
        step: 'rename',
        ok: true,
        warning: true,
        saw: `the server lets no file be renamed: ${first.text}`,
        advice:
          'Files are written under their final name: whoever reads there may see a part of one. Allow renaming, if you can.',
      };
    }
    await this.#write(connection, path);
    if (isGood(await rename(connection, path, target))) {
      memory.replaces = true;
      return { step: 'rename', ok: true, saw: 'renamed, and replaced an older file in one step' };
    }
    memory.replaces = false;
    await publish(connection, { temp: path, path: target, token });
    return {
      step: 'rename',
      ok: true,
      warning: true,
      saw: 'renamed; an older file is moved aside first, since the server does not replace it',
    };
  }

  async #clear(connection: Connection, paths: readonly FilePath[]): Promise<void> {
    for (const path of paths) await removeIfThere(connection, path);
  }
}

function capabilitiesOf(connection: Connection, connections: number): Step {
  const { traits, memory } = connection;
  const saw = [
    traits.kind === 'aws-transfer' ? 'AWS Transfer Family' : undefined,
    `one file at a time on each of ${connections} connections`,
    memory.renames
      ? 'temporary name, then rename'
      : traits.commitsAtClose
        ? 'straight to the final name, where a file appears when it is complete'
        : 'straight to the final name',
    traits.restart && memory.renames ? 'resumes' : 'does not resume',
    `checksums ${traits.hash || traits.xsha256 ? 'computed there' : 'by reading back'}`,
    traits.setTime === undefined || !memory.setsTime
      ? 'does not set times'
      : `sets times (${traits.setTime})`,
    traits.facts ? undefined : 'lists by LIST and MDTM',
  ];
  return { step: 'capabilities', ok: true, saw: saw.filter((part) => part !== undefined).join('; ') };
}

function brokenStep(fault: Fault, passed: readonly Step[]): string {
  const { code = '' } = fault;
  const byCode = STEP_OF.find(([, codes]) => codes.test(code))?.[0];
  return byCode ?? WAY.find((step) => !passed.some((done) => done.step === step)) ?? 'protection';
}
