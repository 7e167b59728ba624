import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { valuesFor } from '../../../src/config/values.ts';
import { ftpsSettings } from '../../../src/endpoints/ftps/settings.ts';
import { traitsOf } from '../../../src/endpoints/ftps/traits.ts';

const schema = ftpsSettings(valuesFor('/base', '/home'));
const least = { host: 'h', user: 'u', password: 'p' };

describe('settings', () => {
  test('have defaults for all but host, user and password', () => {
    const given = schema.parse(least);
    assert.deepEqual([given.port, given.connections, given.timeout], [21, 4, 60_000]);
    assert.equal(schema.parse({ ...least, implicit: true }).port, 990);
    assert.equal(schema.parse({ ...least, implicit: true, port: 2990 }).port, 2990);
    for (const key of ['host', 'user', 'password']) {
      assert.equal(schema.safeParse({ ...least, [key]: undefined }).success, false, key);
    }
  });

  test('take one authority or several, and a TLS version with or without quotes', () => {
    assert.deepEqual(schema.parse({ ...least, ca: 'ca.pem' }).ca, ['/base/ca.pem']);
    assert.deepEqual(schema.parse({ ...least, ca: ['a', '~/b'] }).ca, ['/base/a', '/home/b']);
    for (const maxTls of [1.2, '1.2']) assert.equal(schema.parse({ ...least, maxTls }).maxTls, 'TLSv1.2');
    assert.equal(schema.safeParse({ ...least, maxTls: '1.1' }).success, false);
  });

  test('refuse what they do not know', () => {
    assert.equal(schema.safeParse({ ...least, passwort: 'p' }).success, false);
    const { error } = schema.safeParse({ ...least, proxy: 'http://p' });
    assert.match(error?.issues[0]?.message ?? '', /does not go through a proxy.*sftp does/);
  });
});

describe('a server is taken for Transfer Family', () => {
  const kindOf = (more: object, greeting: string, system: string, features: readonly string[]): string => {
    const answers = { greeting, system, features: new Map(features.map((name) => [name, 'STREAM'])) };
    return traitsOf(schema.parse({ ...least, ...more }), answers).kind;
  };

  test('by its name, by what it says, or because it was told', () => {
    const like = '220 Service ready for new user.';
    const vpce = 'vpce-1-a.server.transfer.ap-northeast-1.vpce.amazonaws.com';
    assert.equal(
      kindOf({ host: 's-1.server.transfer.eu-west-1.amazonaws.com' }, '220 hi', '', []),
      'aws-transfer',
    );
    assert.equal(kindOf({ host: vpce }, '220 hi', '', ['REST']), 'aws-transfer');
    assert.equal(kindOf({}, '220 AWS Transfer Family', '', []), 'aws-transfer');
    assert.equal(kindOf({}, like, '215 UNIX Type: Apache FtpServer', ['MLST']), 'aws-transfer');
    assert.equal(kindOf({}, like, '215 UNIX Type: Apache FtpServer', ['REST']), 'generic');
    assert.equal(kindOf({}, '220 (vsFTPd 3.0.3)', '215 UNIX Type: L8', ['REST']), 'generic');
    assert.equal(kindOf({ server: 'aws-transfer' }, '220 hi', '', ['REST']), 'aws-transfer');
    assert.equal(kindOf({ server: 'generic', host: vpce }, '220 hi', '', []), 'generic');
  });
});
