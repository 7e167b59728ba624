import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatProblem } from '../../src/config/problems.ts';
import { readYaml } from '../../src/config/yaml.ts';

/** A text that is not YAML as it should be → what is said about it. */
const table: readonly (readonly [text: string, ...said: string[]])[] = [
  ['from: a\n\tto: b\n', '2:1  a tab is used for indentation; YAML wants spaces'],
  ['to:\n\tpath: b\nfrom: a\n', '2:1  a tab is used for indentation; YAML wants spaces'],
  ['match: *.csv\n', '1:8  a value that begins with * means an alias in YAML; put quotes around it'],
  [
    'match: [**/*.csv, "x"]\n',
    '1:9  a value that begins with * means an alias in YAML; put quotes around it',
  ],
  ['cron: * * * * *\n', '1:7  a value that begins with * means an alias in YAML; put quotes around it'],
  ['password: @hunter2\n', '1:11  a value cannot begin with this character; put quotes around it'],
  ['password: %hunter2\n', '1:11  a value cannot begin with this character; put quotes around it'],
  ['password: !hunter2 x\n', '1:11  a value that begins with ! means a tag in YAML; put quotes around it'],
  [
    'password: hunter2: x\n',
    '1:11  a second ": " on one line; if it belongs to the value, put quotes around the value',
  ],
  [
    'password: "hunter2\nto: b\n',
    '3:1  something is missing before this: a closing quote, or a ":" after a key',
  ],
  [
    'password: "hunter2\\q"\n',
    '1:19  a backslash has a meaning of its own in double quotes; use single quotes, or \\\\ for one \\',
  ],
  [
    'from: [hunter2, b\nto: c\n',
    '2:1  the indentation does not fit, or a bracket before this was not closed',
  ],
  ['a: { b: hunter2\n', '2:1  the indentation does not fit, or a bracket before this was not closed'],
  [
    'a: b\nhunter2\nc: d\n',
    '2:1  a key goes over several lines; look for a missing ":" or "-" in front of it',
  ],
  ['a:\n   b: 1\n  c: 2\n', '3:1  the indentation does not fit, or a bracket before this was not closed'],
  ['a: 1\n---\nb: 2\n', '2:1  a second document starts here ("---"); one file holds one document'],
  ['a: { b: "hunter2"}}\n', '1:19  this is not valid YAML here'],
  ['a: 1\nb: 2\na: 3\n', '3:1  key "a" is there twice; the first is on line 1; keep one of them'],
  ['x: { a: 1,\n  a: 2 }\n', '2:3  key "a" is there twice; the first is on line 1; keep one of them'],
  ['? [a]\n: b\n', '1:3  a key must be plain text'],
  ['a: { <<: 5 }\n', '1:1  its aliases (*) or merges (<<) do not resolve'],
  [
    'a: &a [x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b]\nd: [*c, *c, *c, *c, *c, *c, *c, *c]\n',
    '1:1  its aliases (*) or merges (<<) do not resolve',
  ],
];

describe('syntax', () => {
  for (const [text, ...said] of table) {
    test(JSON.stringify(text), () => {
      const { problems } = readYaml(text, 'job.yaml');
      const lines = problems.map(formatProblem);
      assert.deepEqual(
        lines,
        said.map((line) => `job.yaml:${line}`),
      );
      assert.ok(!lines.join().includes('hunter2'), 'the text around an error may be a password');
    });
  }
});

test('places of keys and values, of list items, of what is missing, and through aliases', () => {
  const yaml = readYaml('# comment\na: &a\n  b: [x,\n    y]\nc: *a\nd: { e: 1 }\n', 'x.yaml');
  assert.deepEqual(yaml.problems, []);
  const places: readonly (readonly [(string | number)[], 'key' | undefined, string])[] = [
    [[], undefined, '2:1'],
    [['a'], undefined, '2:1'],
    [['a', 'b'], 'key', '3:3'],
    [['a', 'b'], undefined, '3:6'],
    [['a', 'b', 1], undefined, '4:5'],
    [['a', 'missing'], undefined, '2:1'],
    [['c', 'b', 0], undefined, '3:7'],
    [['d'], undefined, '6:4'],
    [['d', 'e'], 'key', '6:6'],
    [['d', 'e'], undefined, '6:9'],
    [['missing'], undefined, '2:1'],
  ];
  for (const [path, on, expected] of places) {
    const { line, column } = yaml.at(path, on);
    assert.equal(`${line}:${column}`, expected, JSON.stringify(path));
  }
});

test('a byte order mark, Windows line ends, an empty file, and numbers as keys', () => {
  assert.deepEqual(readYaml('\ufeffa: 1\r\nb: x\r\n', 'x').data, { a: 1, b: 'x' });
  assert.equal(readYaml('', 'x').data, null);
  assert.equal(readYaml('# nothing\n', 'x').data, null);
  assert.deepEqual(readYaml('1: a\ntrue: b\n', 'x').data, { 1: 'a', true: 'b' });
});
