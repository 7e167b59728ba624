import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { editorSchemas, initJobs } from '../../src/config/init.ts';
import { loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problems.ts';
import { EXAMPLES, FIRST } from '../../src/config/samples.ts';
import { kinds } from '../../src/endpoints/index.ts';
import { temporaryFolder, treeOf } from '../support/files.ts';

const root = join(import.meta.dirname, '../..');
const files = { ...FIRST, ...EXAMPLES, ...editorSchemas(kinds) };

async function load(base: string, env: Readonly<Record<string, string>> = {}) {
  const { config, problems } = await loadConfig({
    jobsFolder: join(base, 'jobs'),
    home: join(base, 'home'),
    env,
    kinds,
  });
  return { config, said: problems.map(formatProblem) };
}

/** The commented examples, brought to life: an example's lines begin with `#` and no space, or with `#` and two. */
function uncommented(text: string): string {
  return text.replace(/^#(?=\S| {2})/gm, '');
}

describe('ferry init', () => {
  test('writes a first jobs folder that loads, with the folder that its job watches', async () => {
    await using folder = await temporaryFolder();
    const written = await initJobs(join(folder.path, 'jobs'), kinds);
    assert.deepEqual(
      written.toSorted(),
      Object.keys(files)
        .map((name) => join(folder.path, 'jobs', name))
        .sort(),
    );
    const { config, said } = await load(folder.path);
    assert.deepEqual(said, []);
    assert.deepEqual([...config.jobs.keys()], ['outbox']);
    const job = config.jobs.get('outbox');
    assert.deepEqual(job?.to, [{ endpoint: 'try-out', path: '/inbox' }]);
    assert.deepEqual([job?.when.watch, job?.settleMs], [true, 1000]);
    assert.equal(config.endpoints.get('try-out')?.kind, 'sandbox');
    assert.ok((await readdir(folder.path)).includes('outbox'));
  });

  test('changes nothing when it is run again, and brings back only what is missing', async () => {
    await using folder = await temporaryFolder();
    const jobs = join(folder.path, 'jobs');
    await initJobs(jobs, kinds);
    assert.deepEqual(await initJobs(jobs, kinds), []);
    const { rm } = await import('node:fs/promises');
    await writeFile(join(jobs, 'examples/fetch.yaml'), 'mine');
    await rm(join(jobs, 'outbox.yaml'));
    await rm(join(jobs, 'job.schema.json'));
    assert.deepEqual(await initJobs(jobs, kinds), [join(jobs, 'job.schema.json')]);
    assert.equal(await readFile(join(jobs, 'examples/fetch.yaml'), 'utf8'), 'mine');
  });

  test('leaves a folder alone that has jobs of its own', async () => {
    await using folder = await temporaryFolder();
    const jobs = join(folder.path, 'jobs');
    await mkdir(jobs);
    await writeFile(join(jobs, 'mine.yml'), 'from: ./a\nto: ./b\n');
    const written = await initJobs(jobs, kinds);
    assert.ok(!written.some((file) => /(endpoints|outbox)\.yaml$/.test(file)), written.join());
    assert.deepEqual(await readdir(folder.path), ['jobs']);
    assert.deepEqual((await load(folder.path)).said, []);
  });
});

describe('the samples', () => {
  test('in jobs/ are what ferry init writes', async () => {
    for (const [name, text] of Object.entries(files)) {
      const there = await readFile(join(root, 'jobs', name), 'utf8').catch(() => undefined);
      const hint = name.endsWith('.json')
        ? `remove jobs/${name} and run \`npm run --silent ferry -- init\``
        : 'change src/config/samples.ts as well';
      assert.equal(there, text, `jobs/${name} is not current: ${hint}`);
    }
    const others = (await treeOf(join(root, 'jobs'))).filter(
      (path) => !path.endsWith('/') && !Object.hasOwn(files, path),
    );
    assert.deepEqual(others, []);
  });

  test('load with every commented line brought to life', async () => {
    await using folder = await temporaryFolder();
    const jobs = join(folder.path, 'jobs');
    await mkdir(join(folder.path, 'keys'));
    await mkdir(join(folder.path, 'home/.ssh'), { recursive: true });
    const secrets = ['keys/app-server', 'keys/partner.password', 'keys/transfer.password', 'keys/ca.pem'];
    for (const file of [...secrets, 'home/.ssh/known_hosts']) {
      await writeFile(join(folder.path, file), 'x');
      await chmod(join(folder.path, file), 0o600);
    }
    await mkdir(jobs);
    for (const [name, text] of Object.entries({ ...FIRST, ...EXAMPLES }))
      await writeFile(join(jobs, name.replace('examples/', '')), uncommented(text));
    const { config, said } = await load(folder.path, { APP_KEY_PASS: 'x' });
    assert.deepEqual(said, []);
    assert.deepEqual(
      [...config.jobs.keys()],
      ['fetch', 'into-s3', 'into-transfer-family', 'nightly-batch', 'outbox', 'to-a-partner', 'watched-drop'],
    );
    const named = [...config.endpoints.keys()].filter((name) => !name.startsWith('folder:'));
    assert.deepEqual(named, [
      'try-out',
      'app-server',
      'partner',
      'private-server',
      'bucket',
      'transfer',
      'partner-by-connector',
      'share',
    ]);
    // The defaults that outbox.yaml tells of are the defaults.
    const plain = config.jobs.get('outbox');
    await writeFile(join(jobs, 'outbox.yaml'), FIRST['outbox.yaml'] ?? '');
    assert.deepEqual((await load(folder.path, { APP_KEY_PASS: 'x' })).config.jobs.get('outbox'), plain);
  });

  test('say of every kind of endpoint how it is written', () => {
    for (const name of Object.keys(kinds))
      assert.match(FIRST['endpoints.yaml'] ?? '', new RegExp(`type: ${name}\\b`), name);
  });
});
