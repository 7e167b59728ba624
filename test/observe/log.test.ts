import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createLog, isLogLevel, type LogOptions } from '../../src/observe/log.ts';
import { logEvents } from '../../src/observe/log-events.ts';
import { Secrets } from '../../src/observe/secrets.ts';
import { Fault } from '../../src/sync/errors.ts';
import { Events } from '../../src/sync/events.ts';
import { delivery, receiptOf } from './examples.ts';

async function logging(options: Partial<LogOptions> = {}) {
  const written: string[] = [];
  const out = { write: (text: string) => written.push(text) };
  const log = await createLog({ level: 'trace', human: false, color: false, out, ...options });
  return { log, written, lines: (): Record<string, unknown>[] => written.map((line) => JSON.parse(line)) };
}

const down = new Fault('unreachable', 'connection refused', {
  code: 'ECONNREFUSED',
  advice: 'Is the server up?',
});

/** One of each. */
function tell(events: Events): void {
  const one = delivery(7);
  events.emit('scanned', {
    job: 'invoices',
    reason: 'watch',
    files: 3,
    owed: 1,
    owedBytes: 1024,
    waiting: 0,
    ms: 4,
  });
  events.emit('left', 'invoices', 'link', 'a symbolic link, which is not followed');
  events.emit('owed', one);
  events.emit('sending', one);
  events.emit('progress', one, 512);
  events.emit('delivered', one, receiptOf(one), 120);
  events.emit('attemptFailed', one, down, 5_000);
  events.emit('failed', one, new Fault('permanent', 'no permission', { code: 'SSH_FX_PERMISSION_DENIED' }));
  events.emit('superseded', one, new Fault('vanished', 'its source is gone'));
  events.emit('after', 'invoices', 'file-7.csv', 'archive', 'sent/file-7.csv');
  events.emit('afterFailed', 'invoices', 'file-7.csv', new Fault('permanent', 'read-only'));
  events.emit('endpointUp', 'app-server', 60_000);
  events.emit('endpointDown', 'app-server', down, 30_000);
  events.emit('endpointDown', 'app-server', down, undefined);
  events.emit('paused', 'invoices', true);
  events.emit('alarm', 'invoices', new Fault('vanished', 'the folder is gone', { code: 'ENOENT' }));
  events.emit('alarmOver', 'invoices');
  events.emit('config', 'read again', true);
  events.emit('queue', 'Redis is lost', false);
}

describe('events', () => {
  test('each is one line with its level, what it is about, and words', async () => {
    const { log, lines } = await logging();
    const events = new Events();
    using _listening = logEvents(log, events);
    tell(events);
    const seen = lines().map(({ event, level }) => `${String(level)} ${String(event)}`);
    assert.deepEqual(seen, [
      'info scanned',
      'warn left',
      'debug owed',
      'debug sending',
      'info delivered',
      'warn attemptFailed',
      'error failed',
      'debug superseded',
      'info after',
      'error afterFailed',
      'info endpointUp',
      'warn endpointDown',
      'error endpointDown',
      'info paused',
      'error alarm',
      'info alarmOver',
      'info config',
      'error queue',
    ]);
    const delivered = lines()[4];
    assert.deepEqual(
      [
        delivered?.job,
        delivered?.endpoint,
        delivered?.path,
        delivered?.delivery,
        delivered?.bytes,
        delivered?.ms,
      ],
      ['invoices', 'app-server', 'file-7.csv', 7, 1024, 120],
    );
    assert.equal(
      delivered?.msg,
      'delivered file-7.csv to app-server:/srv/inbox/file-7.csv, 1.0 KiB in 0.1 s',
    );
    assert.match(String(delivered?.time), /^\d{4}-\d\d-\d\dT/);
    assert.equal(lines()[5]?.code, 'ECONNREFUSED');
  });

  test('after its end nothing is listened to', async () => {
    const { log, written } = await logging();
    const events = new Events();
    logEvents(log, events)[Symbol.dispose]();
    tell(events);
    assert.deepEqual(written, []);
    assert.deepEqual(events.eventNames(), []);
  });

  test('the level decides what is written', async () => {
    const { log, lines } = await logging({ level: 'error' });
    const events = new Events();
    using _listening = logEvents(log, events);
    tell(events);
    assert.ok(lines().every(({ level }) => level === 'error') && lines().length > 0);
    assert.equal(isLogLevel('debug') && !isLogLevel('chatty'), true);
  });
});

describe('a person’s terminal', () => {
  test('gets a line with time, level, message and fields, and the advice below', async () => {
    const { log, written } = await logging({ human: true });
    const events = new Events();
    using _listening = logEvents(log, events);
    events.emit('attemptFailed', delivery(7), down, 5_000);
    const [text] = written;
    assert.match(
      text ?? '',
      /^\d\d:\d\d:\d\d WARN {2}could not deliver file-7\.csv to app-server: connection refused; again in 5\.0 s job=invoices endpoint=app-server path=file-7\.csv delivery=7 kind=unreachable code=ECONNREFUSED afterMs=5000\n +→ Is the server up\?\n$/,
    );
  });

  test('cannot be talked to by a file’s name', async () => {
    const { log, written } = await logging({ human: true });
    const events = new Events();
    using _listening = logEvents(log, events);
    const path = 'a\n12:00:00 info delivered\u001b[2J\u009b2J\u202ecod.exe\udcff';
    events.emit('sending', delivery(7, { path }));
    log.info({ [`x\n${path}`]: { deep: path } }, `said ${path}`);
    log.error(new Error(path));
    const text = written.join('');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
    assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    assert.equal(written[0]?.split('\n').length, 2);
    assert.match(written[0] ?? '', /a\\n12:00:00 info delivered\\x1b\[2J\\u009b2J\\u202ecod\.exe\\xff/);
  });

  test('is coloured when asked', async () => {
    const { log, written } = await logging({ human: true, color: true });
    log.error('bad');
    assert.ok(written[0]?.includes('\u001b[31mERROR\u001b[39m'));
  });
});

describe('secrets', () => {
  const secret = 'p"ss\\w\u00f6rd\nline';

  for (const human of [false, true]) {
    test(`are masked in whatever is written ${human ? 'for a person' : 'as JSON'}`, async () => {
      const secrets = new Secrets([secret]);
      const { log, written } = await logging({ human, secrets });
      secrets.add('added-later');
      log.info(
        { deep: [{ value: `a ${secret} b` }], [`name-${secret}`]: 1 },
        `said ${secret} and added-later`,
      );
      log.error(
        { err: new Error(`login with ${secret} failed`, { cause: new Error(encodeURIComponent(secret)) }) },
        'x',
      );
      const text = written.join('');
      for (const form of [
        secret,
        JSON.stringify(secret).slice(1, -1),
        encodeURIComponent(secret),
        'ss\\\\w',
        'p"ss',
        'added-later',
      ]) {
        assert.ok(!text.includes(form), `${form} is in ${text}`);
      }
      assert.ok(text.includes('[secret]'));
    });
  }

  test('fields that are secret by name are masked whatever they hold', async () => {
    const { log, lines } = await logging();
    log.info({ password: 'a', endpoint: { passphrase: 'b', host: 'h', nested: { token: 'c' } } }, 'x');
    const [line] = lines();
    assert.equal(line?.password, '[secret]');
    assert.deepEqual(line?.endpoint, {
      passphrase: '[secret]',
      host: 'h',
      nested: { token: '[secret]' },
    });
  });

  test('too short to be told from ordinary text are let be, and one within another is masked whole', () => {
    const secrets = new Secrets(['ab', 'swordfish', 'swordfish-2']);
    assert.equal(secrets.mask('ab swordfish-2 swordfish'), 'ab [secret] [secret]');
  });

  test('that look like the line’s own words do not break the line', async () => {
    const { log, lines } = await logging({ secrets: new Secrets(['level', 'info', '2026', 'null']) });
    log.info({ level2: 'x', nothing: null }, 'info');
    assert.equal(lines().length, 1);
    assert.equal(lines()[0]?.msg, '[secret]');
  });
});
