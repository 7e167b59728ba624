import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { lineIn, mlsdLineIn, namesNothing } from '../../../src/endpoints/ftps/listing.ts';
import { absolute, wireOf } from '../../../src/endpoints/ftps/names.ts';
import {
  epsvPort,
  featuresIn,
  mdtmIn,
  pasvPort,
  pathIn,
  sha256In,
  sizeIn,
  timeValOf,
} from '../../../src/endpoints/ftps/reply.ts';

const reply = (text: string) => ({ code: Number(text.slice(0, 3)), text });

describe('replies', () => {
  test('to EPSV and PASV', () => {
    assert.equal(epsvPort(reply('229 Entering Extended Passive Mode (|||6446|)')), 6446);
    assert.equal(epsvPort(reply('229 Entering Extended Passive Mode (!!!6446!)')), 6446);
    for (const bad of ['229 (|||0|)', '229 (|||70000|)', '229 nothing', '227 (|||6446|)'])
      assert.equal(epsvPort(reply(bad)), undefined, bad);
    assert.equal(pasvPort(reply('227 Entering Passive Mode (0,0,0,0,32,1).')), 8193);
    assert.equal(pasvPort(reply('227 Entering Passive Mode 10,0,0,1,32,0')), 8192);
    assert.equal(pasvPort(reply('227 Entering Passive Mode (1,2,3)')), undefined);
  });

  test('with sizes, times, paths and hashes', () => {
    assert.equal(sizeIn(reply('213 4096')), 4096);
    assert.equal(sizeIn(reply('550 no')), undefined);
    assert.equal(mdtmIn(reply('213 20261122010814')), Date.UTC(2026, 10, 22, 1, 8, 14));
    assert.equal(mdtmIn(reply('213 20261122010814.250')), Date.UTC(2026, 10, 22, 1, 8, 14, 250));
    assert.equal(timeValOf(Date.UTC(2026, 10, 22, 1, 8, 14, 999)), '20261122010814');
    assert.equal(pathIn(reply('257 "/a ""quoted"" folder" is current')), '/a "quoted" folder');
    assert.equal(pathIn(reply('257 "/caf\xc3\xa9"')), '/café');
    const hash = 'AB'.repeat(32);
    assert.equal(sha256In(reply(`213 SHA-256 0-1151 ${hash} /x.pem`)), hash.toLowerCase());
    assert.equal(sha256In(reply(`550 ${hash}`)), undefined);
  });

  test('to FEAT', () => {
    const features = featuresIn(reply('211-Features:\n REST STREAM\n mlst size*;type*;\n211 End'));
    assert.deepEqual(
      [...features],
      [
        ['REST', 'STREAM'],
        ['MLST', 'size*;type*;'],
      ],
    );
    assert.equal(featuresIn(reply('500 unknown')).size, 0);
  });
});

describe('lines of listings', () => {
  test('of MLSD', () => {
    const line = mlsdLineIn(
      'size=12;modify=20261122010814;type=file;UNIX.mode=0640; two  spaces; and = signs ',
    );
    assert.deepEqual(line, {
      type: 'file',
      kind: 'file',
      sizeBytes: 12,
      mtimeMs: Date.UTC(2026, 10, 22, 1, 8, 14),
      mode: 0o640,
      wire: 'two  spaces; and = signs ',
    });
    assert.equal(mlsdLineIn('type=cdir; /a'), 'skip');
    assert.equal(mlsdLineIn('the second half of a name'), undefined);
    for (const [type, kind] of [
      ['dir', 'folder'],
      ['OS.unix=slink:/x', 'link'],
      ['OS.unix=symlink', 'link'],
      ['OS.unix=chr-1/3', 'other'],
    ]) {
      const found = mlsdLineIn(`type=${type}; x`);
      assert.equal(typeof found === 'object' && found.kind, kind);
    }
  });

  test('of LIST, with names as they are', () => {
    const names = [' leading', 'a -> b', '  two', 'x  y'];
    for (const name of names) {
      const line = lineIn(`-rw-r--r--    1 1        1            1151 Jan 02  2020 ${name}`);
      assert.deepEqual([line?.kind, line?.sizeBytes, line?.wire], ['file', 1151, name]);
    }
    assert.equal(lineIn('lrwxrwxrwx    1 0  0    4 Nov 22 01:08 to -> real')?.kind, 'link');
    assert.equal(lineIn('drwxr-xr-x    2 0  0 4096 Nov 22 01:08 folder')?.kind, 'folder');
    assert.equal(lineIn('213-Status follows:'), undefined);
    for (const line of [
      'drwxr-xr-x    2 0  0 4096 Nov 22 01:08 .',
      'drwxr-xr-x 2 0 0 4096 Nov 22 01:08 ..',
      'total 5',
    ])
      assert.ok(namesNothing(line), line);
    for (const line of ['drwxr-xr-x    2 0  0 4096 Nov 22 01:08 ...', 'half a name', '.'])
      assert.ok(!namesNothing(line), line);
    assert.equal(lineIn('half a name'), undefined);
  });
});

describe('paths on the wire', () => {
  const rules = { name: 'server', home: '/home/u', byteNames: true, telnet: 'double' } as const;

  test('are absolute, and bytes', () => {
    assert.equal(absolute('/home/u', 'a/b'), '/home/u/a/b');
    assert.equal(absolute('/home/u', ''), '/home/u');
    assert.equal(absolute('/', '-x'), '/-x');
    assert.equal(wireOf(rules, '/é'), '/\xc3\xa9');
    assert.equal(wireOf(rules, '/\udcff'), '/\xff\xff');
    assert.equal(wireOf({ ...rules, telnet: 'plain' }, '/\udcff'), '/\xff');
  });

  test('that FTP or the server cannot carry are refused for good', () => {
    for (const path of ['/a\nDELE /b', '/a\rb', `/${'n'.repeat(256)}`, `/${'a/'.repeat(2100)}`]) {
      assert.throws(() => wireOf(rules, path), { kind: 'permanent' });
    }
    assert.throws(() => wireOf({ ...rules, telnet: 'never' }, '/\udcff'), { kind: 'permanent' });
    assert.throws(() => wireOf({ ...rules, byteNames: false }, '/\udce9'), { kind: 'permanent' });
  });
});
