import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { valuesFor } from '../../../src/config/values.ts';
import { settings } from '../../../src/endpoints/sftp/settings.ts';

const schema = settings(valuesFor('/project', '/home/me'));
const PIN = `SHA256:${'A'.repeat(43)}`;

/** Path and message of each problem. */
function problems(entry: object): readonly string[] {
  const { error } = schema.safeParse(entry);
  return (error?.issues ?? []).map((issue) => `${issue.path.join('.')}: ${issue.message}`);
}

describe('the settings of an SFTP endpoint', () => {
  test('have defaults for all but host, user and a way to log in', () => {
    const parsed = schema.parse({ host: 'h', user: 'u', key: './keys/app' });
    assert.deepEqual(parsed, {
      host: 'h',
      user: 'u',
      key: ['/project/keys/app'],
      identitiesOnly: false,
      knownHosts: [],
      port: 22,
      hostKey: [],
      idleTimeout: 350_000,
      via: [],
      connections: 4,
      filesInFlight: 128,
      connectTimeout: 20_000,
      timeout: 60_000,
      server: 'auto',
      rename: 'auto',
      sync: false,
    });
  });

  test('take one host key or several, one jump host or several', () => {
    const one = schema.parse({ host: 'h', user: 'u', password: 'p', hostKey: PIN, via: 'bastion' });
    assert.deepEqual([one.hostKey, one.via], [[PIN], ['bastion']]);
    const several = schema.parse({ host: 'h', user: 'u', agent: true, hostKey: [PIN, PIN], via: ['a', 'b'] });
    assert.deepEqual([several.hostKey.length, several.via], [2, ['a', 'b']]);
  });

  test('refuse what they do not know, and say what is missing', () => {
    assert.match(problems({ host: 'h', user: 'u', key: 'k', hostkey: PIN }).join(), /hostkey/);
    assert.match(problems({ host: 'h', user: 'u' }).join(), /key: there is no way to log in/);
    assert.match(problems({ host: 'h', user: 'u', agent: false }).join(), /no way to log in/);
    assert.match(
      problems({ host: 'h', user: 'u', password: 'p', passphrase: 'x' }).join(),
      /passphrase: .*needs a key/,
    );
    assert.match(problems({ host: 'h', user: 'u', key: 'k', hostKey: 'MD5:aa' }).join(), /hostKey/);
    assert.match(
      problems({ host: 'h', user: 'u', key: 'k', via: ['b'], proxyCommand: 'nc %h %p' }).join(),
      /exclude each other/,
    );
    const road = { host: 'h', user: 'u', key: 'k', proxy: 'http://p' };
    assert.match(problems({ ...road, via: 'b' }).join(), /proxy: via and proxy .*belongs to the first/);
    assert.match(problems({ ...road, proxyCommand: 'x' }).join(), /proxy: proxyCommand and proxy exclude/);
    assert.match(
      problems({ host: 'h', user: 'u', key: 'k', via: 'b', bindAddress: '::1' }).join(),
      /bindAddress: .* no effect with via/,
    );
    assert.match(problems({ ...road, proxyProtocol: 'v1' }).join(), /proxyProtocol: .* no effect with proxy/);
    const command = { host: 'h', user: 'u', key: 'k', proxyCommand: 'nc %h %p 2>/dev/null' };
    assert.match(problems(command).join(), /proxyCommand: .*without a shell.*shell: "…"/);
    assert.match(
      problems({ ...command, proxyCommand: 'nc', bindAddress: '::1' }).join(),
      /bindAddress: .*proxyCommand/,
    );
    const eice = { eice: { instance: 'i-0123456789abcdef0', endpoint: 'eice-0123456789abcdef0' } };
    const tunnel = { user: 'u', key: 'k', road: eice };
    assert.equal(schema.parse(tunnel).host, 'i-0123456789abcdef0');
    assert.deepEqual(problems({ ...tunnel, key: undefined, proxy: 'http://p', ephemeralKey: {} }), []);
    assert.match(problems({ ...tunnel, host: 'h' }).join(), /host: host and road exclude/);
    assert.match(
      problems({ ...tunnel, via: 'b' }).join(),
      /road: via and road exclude each other.*first of them/,
    );
    assert.match(problems({ ...tunnel, proxyCommand: 'nc' }).join(), /road: proxyCommand and road exclude/);
    assert.match(
      problems({ ...tunnel, proxyProtocol: 'v2' }).join(),
      /proxyProtocol: .* no effect with road/,
    );
    assert.match(
      problems({ ...tunnel, road: { eice: { instance: 'app', endpoint: 'e' } } }).join(),
      /i-0123.*eice-0123/,
    );
    const long = { eice: { ...eice.eice, maxDuration: '2h', address: 'x', dnsName: 'https://x' } };
    assert.equal(problems({ ...tunnel, road: long }).length, 3);
    assert.match(
      problems({ host: 'h', user: 'u', ephemeralKey: {} }).join(),
      /ephemeralKey: .*needs the instance/,
    );
    assert.match(problems({ user: 'u', key: 'k' }).join(), /host/);
    const bad = problems({ ...road, proxy: 'https://u:hush@p' }).join();
    assert.match(bad, /proxy: .*https/);
    assert.doesNotMatch(bad, /hush/);
    assert.equal(
      problems({ host: '', user: '', key: 'k', port: 0, connections: 0, idleTimeout: 'x' }).length,
      5,
    );
  });
});
