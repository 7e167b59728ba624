import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatProblem } from '../../src/config/problems.ts';
import { workspace } from './workspace.ts';

const TO = 'to: { endpoint: server, path: /in }\n';
const ENDPOINTS = 'server: { type: sftp, host: example.com }\n';

async function warningsOf(one: string, other: string): Promise<readonly string[]> {
  await using space = await workspace({
    'jobs/endpoints.yaml': ENDPOINTS,
    'jobs/one.yaml': `${TO}${one}`,
    'jobs/other.yaml': `${TO}${other}`,
  });
  const { problems, warnings } = await space.load();
  assert.deepEqual(problems, []);
  return warnings.map(formatProblem);
}

test('a job that takes files away which another may not have sent yet is a warning', async () => {
  const said = (name: string, other: string): string =>
    `jobs/${name}.yaml  "after" takes files away that the job ${other}, which has the same "from", may not have sent yet; write both destinations into "to" of one job, or give each job a "match" of its own`;
  assert.deepEqual(await warningsOf('from: ./a\nafter: delete', 'from: ./a'), [said('one', 'other')]);
  assert.deepEqual(
    await warningsOf('from: ./a\nafter: { archive: ./b }', 'from: ./a\nafter: delete\nmatch: ["*.csv"]'),
    [said('one', 'other'), said('other', 'one')],
  );
  const server = 'from: { endpoint: server, path: /out }\nmatch: ["*.csv", "*.xml"]';
  assert.deepEqual(await warningsOf(`${server}\nafter: delete`, server), [said('one', 'other')]);
});

test('jobs that share a folder and no files, or that take none away, are none', async () => {
  assert.deepEqual(await warningsOf('from: ./a', 'from: ./a'), []);
  assert.deepEqual(await warningsOf('from: ./a\nafter: delete', 'from: ./b\nafter: delete'), []);
  assert.deepEqual(
    await warningsOf(
      'from: ./a\nafter: delete\nmatch: ["*.csv"]',
      'from: ./a\nafter: delete\nmatch: ["*.xml"]',
    ),
    [],
  );
  assert.deepEqual(
    await warningsOf('from: ./a\nafter: delete\nmatch: ["*.csv"]', 'from: ./a\nignore: ["*.csv"]'),
    [],
  );
});
