/** The house as DESIGN describes it: who may import whom, where each library lives, and what stays out of the tree. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { builtinModules, createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';

const root = join(import.meta.dirname, '..');
const require = createRequire(import.meta.url);

/** The contracts: what a room may know of another one's inside. */
const ENDPOINT = 'endpoints/endpoint.ts';
const LEDGER = 'ledger/ledger.ts';

/** Files and folders below src that each room may import from, besides itself. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  cli: ['config', 'endpoints', 'ledger', 'observe', 'queue', 'roads', 'sync', 'triggers', 'web'],
  config: ['sync/errors.ts', 'sync/job.ts', 'sync/names.ts', 'endpoints/index.ts'],
  'config/values.ts': [],
  sync: [ENDPOINT, LEDGER],
  'sync/errors.ts': [],
  'sync/names.ts': [],
  'endpoints/endpoint.ts': ['sync/errors.ts', 'sync/names.ts'],
  'endpoints/index.ts': [ENDPOINT, 'config/values.ts', 'endpoints'],
  'endpoints/pool.ts': [ENDPOINT, 'sync/errors.ts'],
  // An implementation knows no other one, except through endpoints/index.ts.
  'endpoints/*': [ENDPOINT, 'sync/errors.ts', 'sync/names.ts', 'config/values.ts', 'roads'],
  ledger: ['sync/delivery.ts', 'sync/errors.ts', 'sync/names.ts', ENDPOINT],
  observe: ['sync', ENDPOINT, LEDGER],
  queue: ['sync', ENDPOINT, LEDGER, 'endpoints/pool.ts'],
  roads: ['sync/errors.ts'],
  triggers: ['sync', ENDPOINT, LEDGER],
  web: ['sync', 'observe', ENDPOINT, LEDGER],
};

/** One library, one home. */
const HOMES: Readonly<Record<string, readonly string[]>> = {
  '@aws-sdk/client-ec2-instance-connect': ['roads/aws'],
  '@aws-sdk/client-s3': ['endpoints/s3', 'endpoints/connector'],
  '@aws-sdk/client-transfer': ['endpoints/connector'],
  '@bull-board/api': ['web'],
  '@bull-board/fastify': ['web'],
  '@smithy/signature-v4': ['roads/aws'],
  'basic-ftp': ['endpoints/ftps'],
  bullmq: ['queue'],
  chokidar: ['triggers/chokidar-tree.ts'],
  commander: ['cli'],
  'cron-parser': ['config', 'queue/cron.ts'],
  fastify: ['web'],
  ioredis: ['queue'],
  'node:sqlite': ['ledger'],
  'log-update': ['observe'],
  picomatch: ['sync', 'config'],
  pino: ['observe'],
  'prom-client': ['observe'],
  'ssh-config': ['endpoints/sftp/ssh-config-file.ts'],
  ssh2: ['endpoints/sftp', 'endpoints/sandbox', 'roads/jump.ts'],
  'ssh2-sftp-client': ['endpoints/sftp'],
  ws: ['roads/aws'],
  yaml: ['config'],
  zod: ['config', 'endpoints'],
};

/** What belongs at the top: the project's own rooms, and what tools look for there. */
const TOP = [
  ...['src', 'jobs', 'outbox', 'test', 'README.md', 'CHANGELOG.md', 'LICENSE'],
  ...['package.json', 'package-lock.json', '.npmrc', 'tsconfig.json', 'tsconfig.build.json', 'biome.json'],
  ...['Dockerfile', '.dockerignore', 'docker-compose.yml', '.gitignore', '.ci'],
];

const LONGEST_FILE_LINES = 350;

interface Source {
  /** Relative to src. */
  readonly path: string;
  readonly text: string;
  /** Relative to src for our own files, else as written. */
  readonly imports: readonly string[];
}

const sources = globSync('**/*.ts', { cwd: join(root, 'src') })
  .sort()
  .map(readSource);

function readSource(path: string): Source {
  const text = readFileSync(join(root, 'src', path), 'utf8');
  return { path, text, imports: importsOf(path, text) };
}

function importsOf(path: string, text: string): readonly string[] {
  const statements = text.matchAll(
    /^(?:import|export)\b[^;'"]*?\bfrom\s*'([^']+)'|^import\s*'([^']+)'|\bimport\(\s*'([^']+)'|\brequire\(\s*'([^']+)'/gms,
  );
  const imports = [...statements].map((match) => match[1] ?? match[2] ?? match[3] ?? match[4] ?? '');
  return imports.map((name) => (name.startsWith('.') ? join(dirname(path), name) : name));
}

/** True when the file is the place, lies in it, or fits its `*` (one folder). */
function isIn(path: string, place: string): boolean {
  const parts = path.split('/');
  return place
    .split('/')
    .every((part, index) => (part === '*' ? parts.length > index + 1 : part === parts[index]));
}

/** The narrowest entry of the table that the file lies in. */
function roomOf(path: string): string | undefined {
  return Object.keys(ARROWS)
    .filter((room) => isIn(path, room))
    .sort(
      (a, b) =>
        b.split('/').length - a.split('/').length || Number(a.includes('*')) - Number(b.includes('*')),
    )[0];
}

/** The folder that a file may import from freely: its room, or the one folder of it that a `*` stands for. */
function homeOf(path: string, room: string): string {
  return room.endsWith('.ts') ? path : path.split('/').slice(0, room.split('/').length).join('/');
}

function mayImport(from: string, to: string): boolean {
  const room = roomOf(from);
  if (room === undefined) return false;
  return isIn(to, homeOf(from, room)) || (ARROWS[room] ?? []).some((place) => isIn(to, place));
}

/** The package of an import: `a/b` → `a`, `@a/b/c` → `@a/b`, `node:x` as it is. */
function packageOf(name: string): string {
  return name
    .split('/')
    .slice(0, name.startsWith('@') ? 2 : 1)
    .join('/');
}

function found<T>(list: readonly T[]): string {
  return list.join('\n');
}

describe('the arrows', () => {
  test('every import follows them', () => {
    const wrong = sources.flatMap(({ path, imports }) =>
      imports
        .filter((name) => name.endsWith('.ts') && !mayImport(path, name))
        .map((name) => `src/${path} may not import src/${name}`),
    );
    assert.equal(found(wrong), '');
  });

  test('every library is imported in its home only, and has one', () => {
    const wrong = sources.flatMap(({ path, imports }) =>
      imports
        .filter((name) => !name.endsWith('.ts'))
        .map(packageOf)
        .filter((name) => HOMES[name] !== undefined || !builtinModules.includes(name.replace(/^node:/, '')))
        .filter((name) => !(HOMES[name] ?? []).some((home) => isIn(path, home)))
        .map((name) => `src/${path} may not import ${name}`),
    );
    assert.equal(found(wrong), '');
  });

  test('the table of arrows would notice a wrong one', () => {
    assert.equal(mayImport('sync/deliver.ts', 'ledger/sqlite.ts'), false);
    assert.equal(mayImport('endpoints/sftp/send.ts', 'endpoints/local/local.ts'), false);
    assert.equal(mayImport('endpoints/sftp/send.ts', 'sync/scan.ts'), false);
    assert.equal(mayImport('roads/direct.ts', 'sync/scan.ts'), false);
    assert.equal(mayImport('sync/errors.ts', 'sync/names.ts'), false);
    assert.equal(mayImport('endpoints/sftp/send.ts', 'endpoints/sftp/dial.ts'), true);
  });

  test('imports are found in all their forms', () => {
    const text = [
      "import { a } from './a.ts';",
      "import type { B } from '../b/b.ts';",
      "import {\n  c,\n  d,\n} from 'c';",
      "import './e.ts';",
      "export * from './f.ts';",
      "const { g } = await import('./g.ts');",
      "const text = 'taken from';",
    ].join('\n');
    const all = ['sync/a.ts', 'b/b.ts', 'c', 'sync/e.ts', 'sync/f.ts', 'sync/g.ts'];
    assert.deepEqual(importsOf('sync/x.ts', text), all);
  });
});

describe('the rules of the house', () => {
  test('only main.ts reads the environment, handles signals and exits', () => {
    const touches = /\bprocess\.(?:env|exit|exitCode|abort)\b|\bprocess\.(?:on|once|addListener)\(/;
    const wrong = sources.filter((source) => source.path !== 'cli/main.ts' && touches.test(source.text));
    assert.equal(found(wrong.map((source) => `src/${source.path}`)), '');
    assert.match(readFileSync(join(root, 'src/cli/main.ts'), 'utf8'), touches);
  });

  test('no file is too long to read', () => {
    const long = sources
      .map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }))
      .filter(({ lines }) => lines > LONGEST_FILE_LINES);
    assert.equal(found(long.map(({ path, lines }) => `src/${path}: ${lines} lines`)), '');
  });

  test('every file opens with what it is for', () => {
    const bare = sources.filter(({ text }) => !/^(?:(?:#!|\/\/).*\n)*\/\*\*/.test(text));
    assert.equal(found(bare.map(({ path }) => `src/${path}`)), '');
  });

  test('the top level holds what it should, and nothing else', () => {
    const top = new Set(tracked().map((path) => path.split('/')[0] ?? ''));
    assert.equal(found([...top].filter((name) => !TOP.includes(name))), '');
  });

  test('nothing speaks of the machine or the registry that it was made with', () => {
    const words = [
      ['registry', 'npmjs'],
      ['deb', 'debian', 'org'],
      ['pythonhosted', 'org'],
    ].map((parts) => parts.join('\\.'));
    const telling = new RegExp(`${words.join('|')}|(?<![\\w./~-])/(?:work|root)/[a-z]`);
    const wrong = tracked().filter((path) => telling.test(readFileSync(join(root, path), 'latin1')));
    assert.equal(found(wrong), '');
  });
});

describe('what it runs on', () => {
  test('every package is pinned to one version', () => {
    const text = readFileSync(join(root, 'package.json'), 'utf8');
    const { dependencies, devDependencies, optionalDependencies } = JSON.parse(text) as Readonly<
      Record<'dependencies' | 'devDependencies' | 'optionalDependencies', Readonly<Record<string, string>>>
    >;
    const all = Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies });
    assert.ok(all.length > 0);
    const loose = all.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version));
    assert.equal(found(loose.map(([name, version]) => `${name} ${version}`)), '');
  });

  test('the lock file names the packages of every platform', () => {
    const text = readFileSync(join(root, 'package-lock.json'), 'utf8');
    const { packages } = JSON.parse(text) as {
      readonly packages: Readonly<
        Record<string, { readonly optionalDependencies?: Readonly<Record<string, string>> }>
      >;
    };
    const missing = Object.values(packages)
      .flatMap((each) => Object.keys(each.optionalDependencies ?? {}))
      .filter((name) => packages[`node_modules/${name}`] === undefined);
    assert.equal(found(missing), '');
  });

  test('it is Node 24 or newer, also for what a test starts', () => {
    const version = execFileSync('node', ['-p', 'process.versions.node'], { encoding: 'utf8' });
    assert.ok(Number(process.versions.node.split('.')[0]) >= 24, process.versions.node);
    assert.equal(version.trim(), process.versions.node);
  });

  test("ssh2's native crypto is loaded", () => {
    const { bindingAvailable } = require('ssh2/lib/protocol/crypto.js') as {
      readonly bindingAvailable: boolean;
    };
    assert.equal(bindingAvailable, true, 'npm run postinstall builds it, and says why where it cannot');
  });
});

/** Files that git keeps, with those not committed yet that it does not ignore. */
function tracked(): readonly string[] {
  const args = [
    '-c',
    `safe.directory=${root}`,
    'ls-files',
    '-z',
    '--cached',
    '--others',
    '--exclude-standard',
    '--deduplicate',
  ];
  const listed = execFileSync('git', args, { cwd: root, encoding: 'utf8' }).split('\0').filter(Boolean);
  const deleted = execFileSync('git', ['-c', `safe.directory=${root}`, 'ls-files', '-z', '--deleted'], {
    cwd: root,
    encoding: 'utf8',
  });
  const gone = new Set(deleted.split('\0'));
  return listed.filter((path) => !gone.has(path));
}
