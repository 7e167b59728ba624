import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { request } from 'node:http';
import { connect } from 'node:net';
import { describe, test } from 'node:test';
import { Fault } from '../../src/sync/errors.ts';
import { parseAddress } from '../../src/web/address.ts';
import { startWeb, type Web, type WebOptions } from '../../src/web/web.ts';
import { within } from '../support/until.ts';
import { busy, calm } from './examples.ts';

const TOKEN = 'f00f00f00f00f00f00f00f00';

async function serving(changes: Partial<WebOptions> = {}): Promise<Web> {
  const web = await startWeb({
    address: '127.0.0.1:0',
    token: undefined,
    health: () => calm.health,
    metrics: { contentType: 'text/plain; version=0.0.4', page: async () => 'ferry_owed 1\n' },
    queues: () => [],
    overview: () => calm,
    warn: () => undefined,
    ...changes,
  });
  assert.ok(web !== undefined);
  return web;
}

/** With whatever headers: fetch() would not let us name another host. */
function get(
  url: string,
  headers: Record<string, string>,
  method = 'GET',
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    request(url, { headers, method, agent: false }, (answer) => {
      let text = '';
      answer.on('data', (chunk) => {
        text += chunk;
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
    })
      .on('error', reject)
      .end();
  });
}

const basic = (password: string): string => `Basic ${Buffer.from(`anyone:${password}`).toString('base64')}`;

describe('where', () => {
  test('addresses', () => {
    assert.equal(parseAddress('off', undefined), undefined);
    assert.deepEqual(parseAddress('127.0.0.1:8080', undefined), {
      host: '127.0.0.1',
      port: 8080,
      loopback: true,
    });
    assert.deepEqual(parseAddress('localhost:0', undefined), { host: 'localhost', port: 0, loopback: true });
    assert.deepEqual(parseAddress('[::1]:80', undefined), { host: '::1', port: 80, loopback: true });
    assert.deepEqual(parseAddress('0.0.0.0:8080', TOKEN), { host: '0.0.0.0', port: 8080, loopback: false });
  });

  for (const text of [
    '',
    '8080',
    ':8080',
    '127.0.0.1',
    '127.0.0.1:65536',
    '127.0.0.1:http',
    'http://127.0.0.1:8080',
    '::1:8080',
    '[localhost]:1',
    'On',
  ]) {
    test(`"${text}" is refused`, () => {
      assert.throws(
        () => parseAddress(text, TOKEN),
        (fault) => fault instanceof Fault && fault.code === 'HTTP_ADDRESS' && fault.advice !== undefined,
      );
    });
  }

  for (const text of ['0.0.0.0:0', '[::]:0', '10.0.0.1:8080', 'ferry.example:80', '127.0.0.1.example:80']) {
    test(`${text} is refused without a token, and with one that can be guessed`, async () => {
      for (const token of [undefined, 'short']) {
        await assert.rejects(
          serving({ address: text, token }),
          (fault) => fault instanceof Fault && fault.code === 'HTTP_TOKEN',
        );
      }
    });
  }

  test('a port that is taken is said in words', async () => {
    await using web = await serving();
    const { host } = new URL(web.url);
    await assert.rejects(serving({ address: host }), (fault) => {
      assert.ok(fault instanceof Fault);
      assert.equal(fault.code, 'EADDRINUSE');
      assert.match(`${fault.message} ${fault.advice}`, /another program listens there.*FERRY_HTTP/);
      return true;
    });
  });

  test('"off" is nothing', async () => {
    const web = await startWeb({
      address: 'off',
      token: undefined,
      health: () => calm.health,
      metrics: { contentType: '', page: async () => '' },
      queues: () => [],
      overview: () => calm,
      warn: () => undefined,
    });
    assert.equal(web, undefined);
  });

  test('it ends soon, though a client hangs on', async () => {
    const web = await serving();
    const { hostname, port } = new URL(web.url);
    const socket = connect(Number(port), hostname);
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.write('GET / HTTP/1.1\r\n');
    socket.on('error', () => undefined);
    await within(10_000, 'the end', Promise.resolve(web[Symbol.asyncDispose]()));
    socket.destroy();
    await assert.rejects(fetch(web.url));
  });
});

describe('who', () => {
  test('on this machine everybody, but not by a foreign name', async () => {
    await using web = await serving();
    const { port } = new URL(web.url);
    for (const host of [
      `localhost:${port}`,
      `127.0.0.1:${port}`,
      '127.0.0.1',
      `[::1]:${port}`,
      'LOCALHOST:9',
    ]) {
      assert.equal((await get(web.url, { host })).status, 200, host);
    }
    for (const host of [
      'evil.example',
      `evil.example:${port}`,
      '127.0.0.1.evil.example',
      'localhost.evil.example',
      '10.0.0.1',
    ]) {
      assert.equal((await get(web.url, { host })).status, 421, host);
    }
  });

  test('elsewhere who knows the token, as a password or as a bearer', async () => {
    await using web = await serving({ address: '0.0.0.0:0', token: TOKEN });
    const url = web.url.replace('0.0.0.0', '127.0.0.1');
    for (const path of ['', 'metrics', 'queues/']) {
      for (const authorization of [`Bearer ${TOKEN}`, `bearer ${TOKEN}`, basic(TOKEN)]) {
        assert.equal((await get(url + path, { authorization, host: 'ferry.example' })).status, 200, path);
      }
      for (const authorization of [
        `Bearer ${TOKEN}x`,
        basic(''),
        basic(`x:${TOKEN}`),
        'Bearer',
        'Basic !!!',
        TOKEN,
        '',
      ]) {
        assert.equal((await get(url + path, { authorization })).status, 401, authorization);
      }
    }
    const refused = await fetch(url);
    assert.match(refused.headers.get('www-authenticate') ?? '', /^Basic/);
    assert.ok(!(await refused.text()).includes(TOKEN));
    assert.equal((await fetch(`${url}?token=${TOKEN}`)).status, 401, 'a token in an address ends up in logs');
  });

  test('health is told to whoever supervises; the reasons only to who knows the token', async () => {
    await using web = await serving({ token: TOKEN, health: () => busy.health });
    for (const [path, body] of [
      ['healthz', { live: true, ready: false }],
      ['healthz/live', { live: true }],
    ] as const) {
      assert.deepEqual(JSON.parse((await get(web.url + path, {})).text), body);
    }
    const known = await get(`${web.url}healthz`, { authorization: basic(TOKEN) });
    assert.deepEqual(JSON.parse(known.text), { ...busy.health });
  });

  test('nothing can be changed from here', async () => {
    await using web = await serving();
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
      for (const path of ['', 'queues/api/queues/x/pause', 'nowhere'])
        assert.equal((await get(web.url + path, {}, method)).status, 405, method);
    }
    assert.equal((await get(web.url, {}, 'HEAD')).status, 200);
  });
});

describe('what', () => {
  test('health: 200 when ready, else 503 with the reasons; alive is asked apart', async () => {
    let health = calm.health;
    await using web = await serving({ health: () => health });
    const ask = async (path: string) => {
      const answer = await fetch(web.url + path);
      return [answer.status, await answer.json()];
    };
    assert.deepEqual(await ask('healthz'), [200, { live: true, ready: true, reasons: [] }]);
    health = { live: true, ready: false, reasons: ['Redis is lost'] };
    assert.deepEqual(await ask('healthz'), [503, { live: true, ready: false, reasons: ['Redis is lost'] }]);
    assert.deepEqual(await ask('healthz/live'), [200, { live: true }]);
    health = { live: false, ready: false, reasons: ['the ledger cannot be written'] };
    assert.deepEqual(await ask('healthz/live'), [503, { live: false }]);
  });

  test('metrics as they come', async () => {
    await using web = await serving();
    const answer = await fetch(`${web.url}metrics`);
    assert.equal(answer.headers.get('content-type'), 'text/plain; version=0.0.4');
    assert.equal(await answer.text(), 'ferry_owed 1\n');
  });

  test('every answer forbids a browser what it need not do, and lets nothing in from elsewhere', async () => {
    await using web = await serving();
    for (const path of ['', 'healthz', 'metrics', 'queues/', 'nowhere']) {
      const { headers } = await fetch(web.url + path);
      assert.match(
        headers.get('content-security-policy') ?? '',
        /^default-src 'none'; .*frame-ancestors 'none'$/,
        path,
      );
      assert.doesNotMatch(headers.get('content-security-policy') ?? '', /https?:|\*/);
      assert.equal(headers.get('x-content-type-options'), 'nosniff');
      assert.equal(headers.get('cross-origin-resource-policy'), 'same-origin');
      assert.equal(headers.get('access-control-allow-origin'), null);
    }
    const page = await fetch(web.url);
    const markup = await page.text();
    for (const tag of ['style', 'script']) {
      const inner = new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`).exec(markup)?.[1] ?? '';
      const hash = createHash('sha256').update(inner).digest('base64');
      assert.ok(page.headers.get('content-security-policy')?.includes(`${tag}-src 'sha256-${hash}'`), tag);
    }
  });

  test('what goes wrong inside is told to the log, not to the caller', async () => {
    const warned: string[] = [];
    await using web = await serving({
      warn: (message) => warned.push(message),
      overview: () => {
        throw new Error('disk I/O error at /secret/path');
      },
    });
    const answer = await fetch(web.url);
    assert.equal(answer.status, 500);
    assert.ok(!(await answer.text()).includes('secret'));
    assert.deepEqual(warned, ['GET /: disk I/O error at /secret/path']);
  });

  test('an address that is none says which there are', async () => {
    await using web = await serving();
    const answer = await fetch(`${web.url}wp-login.php`);
    assert.equal(answer.status, 404);
    assert.match(await answer.text(), /\/healthz/);
  });
});
