import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { describe, test } from 'node:test';
import { commandRoad, expand, type ProxyCommand } from '../../src/roads/command.ts';
import { wordsOf } from '../../src/roads/words.ts';
import { Fault } from '../../src/sync/errors.ts';
import { temporaryFolder } from '../support/files.ts';
import { descendantsOf } from '../support/processes.ts';
import { until } from '../support/until.ts';

const calm = new AbortController().signal;
const target = {
  host: 'server.example',
  port: 2222,
  user: 'anne',
  env: { PATH: process.env.PATH, MARK: 'set' },
};

async function output(command: ProxyCommand): Promise<string> {
  const duplex = await commandRoad({ ...target, command }).open(calm);
  return String(Buffer.concat(await Array.fromAsync(duplex)));
}

async function failure(command: ProxyCommand): Promise<Fault> {
  const error = await output(command).catch((reason: unknown) => reason);
  if (!(error instanceof Fault)) assert.fail(`expected a Fault, got ${error}`);
  return error;
}

function shell(script: string): readonly string[] {
  return ['/bin/sh', '-c', script];
}

describe('the road through a proxy command', () => {
  test('replaces %h, %p, %r and %%', () => {
    assert.equal(expand('x %h:%p %r 100%% %q', target), 'x server.example:2222 anne 100% %q');
  });

  test('starts a program without a shell, and with one where it was asked for', async () => {
    assert.equal(await output(['printf', '%s', '%h $MARK;']), 'server.example $MARK;');
    assert.equal(await output({ shell: 'printf "%%s" "%r $MARK" | tr a-z A-Z' }), 'ANNE SET');
  });

  test('carries bytes both ways, more than any pipe holds', async () => {
    const duplex = await commandRoad({ ...target, command: ['cat'] }).open(calm);
    const bytes = Buffer.alloc(3_000_000, 'abcdefg');
    duplex.end(bytes);
    assert.ok(Buffer.concat(await Array.fromAsync(duplex)).equals(bytes));
  });

  test('says what the program wrote to stderr when it fails', async () => {
    const fault = await failure(shell('echo "Unable to locate credentials" >&2; exit 253'));
    assert.deepEqual([fault.kind, fault.code], ['unreachable', 'PROXY_COMMAND']);
    assert.match(fault.message, /exit code 253: Unable to locate credentials/);
    assert.match(fault.advice ?? '', /AWS credentials/);
    const mute = await failure(shell('echo "not today" >&2'));
    assert.match(mute.message, /exit code 0: not today/, 'it never got to speak to the server');
  });

  test('says when the program is not installed', async () => {
    const list = await failure(['no-such-program', '%h']);
    assert.deepEqual([list.kind, list.code], ['rejected', 'PROXY_COMMAND_MISSING']);
    const string = await failure({ shell: 'no-such-program %h' });
    assert.equal(string.code, 'PROXY_COMMAND_MISSING');
    for (const fault of [list, string]) assert.match(fault.advice ?? '', /Install no-such-program/);
  });

  test('ends the program, and what it started, with the connection', async () => {
    await using folder = await temporaryFolder('command');
    // It ignores SIGTERM, and so does the child that it leaves behind.
    const script = `trap '' TERM; sleep 300 & echo $! > ${folder.path}/child; echo $$ > ${folder.path}/self; echo ready; wait`;
    const duplex = await commandRoad({ ...target, command: shell(script) }).open(calm);
    duplex.on('error', () => undefined);
    const [said] = await once(duplex, 'data');
    assert.equal(String(said), 'ready\n');
    const pids = await Promise.all(
      ['self', 'child'].map(async (name) => Number(await readFile(`${folder.path}/${name}`, 'utf8'))),
    );
    duplex.destroy();
    assert.ok(pids.every((pid) => pid > 0));
    await until('all to be gone', () => pids.every((pid) => !alive(pid)));
  });
});

describe('what a proxy command leaves behind', () => {
  test('is no process, however it ended', async () => {
    const before = await descendantsOf(process.pid);
    const open = async (script: string): Promise<Duplex> => {
      const duplex = await commandRoad({ ...target, command: shell(script) }).open(calm);
      return duplex.on('error', () => undefined).resume();
    };
    const ways = [
      'cat',
      'echo hello',
      'exit 3',
      'kill -9 $$',
      'sleep 300 & exit 0',
      'exec >&-; sleep 300',
      'sleep 300 | cat',
    ];
    for (let cycle = 0; cycle < 3; cycle += 1) {
      const all = await Promise.all(ways.map(open));
      for (const duplex of all) duplex.destroy();
    }
    const ended = await open('sleep 300 & exit 0');
    await until('the end of the road', () => ended.closed); // though its pipes are held open
    await until('all to be gone', async () => (await descendantsOf(process.pid)).length === before.length);
  });
});

describe('a proxy command in the configuration', () => {
  test('is split into words as a shell would', () => {
    const cases: readonly (readonly [string, readonly string[]])[] = [
      ['aws ssm start-session --target %h', ['aws', 'ssm', 'start-session', '--target', '%h']],
      [`  a  'b c'd "e \\"f\\" $g" h\\ i '' *.x ~/y\t`, ['a', 'b cd', 'e "f" $g', 'h i', '', '*.x', '~/y']],
      [`'/opt/my tools/nc' '%h|%p'`, ['/opt/my tools/nc', '%h|%p']],
    ];
    for (const [text, words] of cases) assert.deepEqual(wordsOf(text), words);
  });

  test('says what only a shell would do', () => {
    for (const text of [
      '',
      '  ',
      "a 'b",
      'a "b',
      'a \\',
      'a | b',
      'a; b',
      'a && b',
      'a 2>/dev/null',
      'a $HOME',
      'a `b`',
    ])
      assert.equal(typeof wordsOf(text), 'string', text);
  });
});

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
