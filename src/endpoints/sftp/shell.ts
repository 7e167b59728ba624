/**
 * SHA-256 computed on the server, where a login has a shell and a program for it.
 *
 * `sh` reads its script from stdin: so no login shell's quoting rules matter, and names may be any bytes. Where
 * there is no shell (`ForceCommand internal-sftp`, Transfer Family) this is found out once, and answers undefined.
 */

import type { ClientChannel } from 'ssh2';
import { type FilePath, toBytes } from '../../sync/names.ts';
import type { Remote } from './remote.ts';

const PROBE_MS = 5_000;
/** Slower than this a server does not hash. */
const SLOWEST_BYTES_PER_MS = 5_000;
const MOST_OUTPUT = 4_096;
const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/** In order of speed: coreutils often comes without the processor's SHA instructions. */
const TOOLS: readonly string[] = ['openssl dgst -sha256 -r', 'sha256sum', 'shasum -a 256', 'sha256 -q'];

/** Lower-case hex of the first `bytes` bytes of a file; undefined where the server cannot say. */
export async function hashThere(remote: Remote, path: FilePath, bytes: number): Promise<string | undefined> {
  const tool = await toolOf(remote);
  if (tool === undefined) return undefined;
  const script = Buffer.concat([
    Buffer.from(`head -c ${bytes} < `),
    quote(toBytes(path)),
    Buffer.from(` | ${tool}\n`),
  ]);
  const output = await run(remote, script, PROBE_MS + bytes / SLOWEST_BYTES_PER_MS);
  return hashIn(output);
}

async function toolOf(remote: Remote): Promise<string | undefined> {
  const { memory } = remote;
  if (memory.sha256Tool === undefined) {
    const script = TOOLS.map(
      (tool) => `printf '%s=' '${tool}'; ${tool} < /dev/null 2> /dev/null; echo\n`,
    ).join('');
    const output = await run(remote, Buffer.from(`head -c 0 /dev/null && {\n${script}}\n`), PROBE_MS);
    if (remote.link.broken !== undefined) return undefined;
    memory.sha256Tool = TOOLS.find((tool) => output.includes(`${tool}=${EMPTY}`)) ?? false;
  }
  return memory.sha256Tool === false ? undefined : memory.sha256Tool;
}

/** In single quotes, as POSIX sh takes them: any byte but the quote itself stands for itself. */
function quote(path: Buffer): Buffer {
  const parts = path.toString('latin1').split("'").join(`'\\''`);
  return Buffer.from(`'${parts}'`, 'latin1');
}

function hashIn(output: string): string | undefined {
  return /^\\?([0-9a-f]{64})\b/.exec(output.trim())?.[1];
}

/** What a script writes to stdout; nothing when it takes too long or there is no shell. Never throws. */
function run(remote: Remote, script: Buffer, timeoutMs: number): Promise<string> {
  const { link } = remote;
  return new Promise((resolve) => {
    let output = '';
    let channel: ClientChannel | undefined;
    const end = (): void => {
      clearTimeout(timer);
      takeBack();
      channel?.close();
      resolve(output);
    };
    const timer = setTimeout(() => {
      output = '';
      end();
    }, timeoutMs);
    const takeBack = link.onBroken(() => setImmediate(end));
    if (link.broken !== undefined) return;
    try {
      link.client.exec('sh', (error, opened) => {
        if (error !== undefined) return end();
        channel = opened;
        opened.on('error', () => undefined);
        opened.stderr.resume();
        opened.on('data', (bytes: Buffer) => {
          if (output.length < MOST_OUTPUT) output += bytes.toString('latin1');
        });
        opened.on('close', end);
        opened.end(script);
      });
    } catch {
      end();
    }
  });
}
