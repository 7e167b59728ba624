import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatProblem } from '../../src/config/problems.ts';
import { workspace } from './workspace.ts';

const ENDPOINTS = `
server: { type: sftp, host: example.com }
share: { type: local, path: /mnt/share }
outlet: { type: outlet }
store: { type: archive }
`;

/** The lines of a job → all that is said about it. */
type Case = readonly [job: string, ...said: string[]];

function cases(what: string, table: readonly Case[]): void {
  describe(what, () => {
    for (const [job, ...said] of table) {
      test(job.trim().replaceAll('\n', ' | '), async () => {
        await using space = await workspace({ 'jobs/endpoints.yaml': ENDPOINTS, 'jobs/job.yaml': job });
        const { problems, config } = await space.load();
        assert.deepEqual(
          problems.map(formatProblem),
          said.map((line) => `jobs/job.yaml:${line}`),
        );
        assert.equal(config.jobs.has('job'), said.length === 0);
      });
    }
  });
}

const PLACES = 'from: ./a\nto: ./b\n';

cases('keys', [
  ['', '1:1  the file is empty; a job needs "from" and "to"'],
  ['# nothing\n', '1:1  the file is empty; a job needs "from" and "to"'],
  ['outbox', '1:1  must be a map of keys; a job needs "from" and "to"'],
  ['- from: ./a\n', '1:1  must be a map of keys; a job needs "from" and "to"'],
  ['settle: 1s\n', '1:1  "from" is missing', '1:1  "to" is missing'],
  [`${PLACES}setle: 5s\n`, '3:1  unknown key "setle"; did you mean "settle"?'],
  [`${PLACES}cron: "0 2 * * *"\n`, '3:1  unknown key "cron"; it belongs under "when"'],
  [
    `${PLACES}retry:\n  tries: 5\n`,
    '4:3  unknown key "tries" in "retry"; known here: attempts, delay, maxDelay',
  ],
  [`${PLACES}form: x\n`, '3:1  unknown key "form"; did you mean "from"?'],
  ['form: ./a\nto: ./b\n', '1:1  unknown key "form"; did you mean "from"?'],
  [
    `${PLACES}whatever: 1\n`,
    '3:1  unknown key "whatever"; known here: from, match, ignore, to, when, settle, done, after, conflict, verify, retry, order, preserve, history',
  ],
]);

cases('types', [
  ['from: 5\nto: ./b\n', '1:7  "from" must be a folder, or { endpoint: NAME, path: FOLDER }'],
  ['from: [./a]\nto: ./b\n', '1:7  "from" must be a folder, or { endpoint: NAME, path: FOLDER }'],
  ['from: ""\nto: ./b\n', '1:7  "from" must not be empty'],
  ['from: ./a\nto: []\n', '2:5  "to" must hold at least one'],
  ['from: ./a\nto:\n', '2:4  "to" is empty: give it a value, or leave the key out'],
  ['from: ./a\nto: [./b, 7]\n', '2:11  "to[2]" must be a folder, or { endpoint: NAME, path: FOLDER }'],
  [`${PLACES}when: true\n`, '3:7  "when" must be a map of keys, not true'],
  [`${PLACES}when: { watch: yes }\n`, '3:16  "when.watch" must be true or false, not text; write true'],
  [`${PLACES}when: { cron: 5 }\n`, '3:15  "when.cron" must be text, not a number; put quotes around it'],
  [`${PLACES}match: 5\n`, '3:8  "match" must be a pattern, or a list of patterns'],
  [`${PLACES}match: ["*", { a: b }]\n`, '3:14  "match[2]" must be text, not a map of keys'],
  [`${PLACES}ignore: []\n`],
  [`${PLACES}retry: { attempts: many }\n`, '3:20  "retry.attempts" must be a number, not text'],
  [`${PLACES}retry: { attempts: 1.5 }\n`, '3:20  "retry.attempts" must be a whole number'],
  [`${PLACES}retry: { attempts: 0 }\n`, '3:20  "retry.attempts" must be at least 1'],
  [`${PLACES}retry: { delay: 20m }\n`, '3:17  "retry.delay" must not be longer than maxDelay'],
  [`${PLACES}preserve: { mtime: 1 }\n`, '3:20  "preserve.mtime" must be true or false, not a number'],
  [
    `${PLACES}conflict: repalce\n`,
    '3:11  "conflict" must be replace, skip, rename or fail, not "repalce"; did you mean "replace"?',
  ],
  [`${PLACES}verify:\n`, '3:8  "verify" is empty: give it a value, or leave the key out'],
  [`${PLACES}order: 5\n`, '3:8  "order" must be none, name or mtime'],
  [`${PLACES}after: arcive\n`, '3:8  "after" must be keep or delete, not "arcive"'],
  [`${PLACES}after: [keep]\n`, '3:8  "after" must be keep, delete or { archive: FOLDER }'],
  [`${PLACES}after: { archve: ./x }\n`, '3:10  unknown key "archve" in "after"; did you mean "archive"?'],
  [`${PLACES}after: {}\n`, '3:1  "after.archive" is missing'],
]);

cases('durations', [
  [`${PLACES}settle: 5\n`, '3:9  settle: "5" is not a duration; write it as 300ms, 5s, 15m or 2h'],
  [`${PLACES}settle: 5 secs\n`, '3:9  settle: "5 secs" is not a duration; write it as 300ms, 5s, 15m or 2h'],
  [`${PLACES}settle: -5s\n`, '3:9  settle: "-5s" is not a duration; write it as 300ms, 5s, 15m or 2h'],
  [`${PLACES}settle: 0\n`],
  [`${PLACES}settle: 0s\n`],
  [`${PLACES}settle: true\n`, '3:9  "settle" is none of what can stand here'],
  [`${PLACES}history: 5m\n`, '3:10  "history" must be at least 1h'],
  [`${PLACES}when: { watch: true, rescan: 1ms }\n`, '3:30  "when.rescan" must be at least 1s'],
]);

const CRON = 'write minute hour day month weekday, as in "0 2 * * *" for every night at two';

cases('times', [
  [
    `${PLACES}when: { cron: "0 25 * * *" }\n`,
    `3:15  when.cron: "0 25 * * *" is not a cron line (constraint error, got value 25 expected range 0-23); ${CRON}`,
  ],
  [
    `${PLACES}when: { cron: "0 2 30 2 *" }\n`,
    `3:15  when.cron: "0 2 30 2 *" is not a cron line (invalid explicit day of month definition); ${CRON}`,
  ],
  [`${PLACES}when: { cron: "0 2 * *" }\n`, `3:15  when.cron: "0 2 * *" has 4 fields, not five; ${CRON}`],
  [`${PLACES}when: { cron: "" }\n`, `3:15  when.cron: "" has 0 fields, not five; ${CRON}`],
  [`${PLACES}when: { cron: nightly }\n`, `3:15  when.cron: "nightly" has 1 field, not five; ${CRON}`],
  [`${PLACES}when: { cron: "H 2 * * *" }\n`, `3:15  when.cron: "H 2 * * *": H is not understood; ${CRON}`],
  [
    `${PLACES}when: { cron: "@dayly" }\n`,
    '3:15  when.cron: "@dayly" is not a cron name; did you mean "@daily"?',
  ],
  [`${PLACES}when: { cron: "@daily" }\n`],
  [`${PLACES}when: { cron: "0 2 L * *" }\n`],
  [`${PLACES}when: { cron: "*/10 * * * * *" }\n`],
  [
    `${PLACES}when: { cron: "0 2 * * MON-FRI", timezone: Asia/Tokio }\n`,
    '3:44  when.timezone: "Asia/Tokio" is not a time zone; did you mean "Asia/Tokyo"?',
  ],
  [
    `${PLACES}when: { cron: "0 2 * * *", timezone: New York }\n`,
    '3:38  when.timezone: "New York" is not a time zone; did you mean "America/New_York"?',
  ],
  [
    `${PLACES}when: { cron: "0 2 * * *", timezone: "+09:00" }\n`,
    '3:38  when.timezone: "+09:00" is not a time zone; write a name such as Asia/Tokyo, Europe/Berlin or UTC',
  ],
  [`${PLACES}when: { cron: "0 2 * * *", timezone: UTC }\n`],
  [
    `${PLACES}when: { watch: true, timezone: UTC }\n`,
    '3:32  "when.timezone" is for cron, and there is none; add cron, or leave timezone out',
  ],
  [
    `${PLACES}when: { poll: 5s }\n`,
    '3:15  when.poll: says how to watch, but watch is not true; add watch: true',
  ],
  [
    'from: { endpoint: server, path: /out }\nto: ./b\nwhen: { watch: true }\n',
    '3:16  a folder at "server" (sftp) cannot be watched as a local one can; add poll: 1m to look there so often, or use cron',
  ],
  ['from: { endpoint: server, path: /out }\nto: ./b\nwhen: { watch: true, poll: 1m }\n'],
  ['from: { endpoint: share, path: out }\nto: ./b\nwhen: { watch: true }\n'],
]);

cases('patterns', [
  [`${PLACES}match: ""\n`, '3:8  match: an empty pattern matches nothing; write "**" for all files'],
  [
    `${PLACES}match: ["**/*.csv", "/data/*"]\n`,
    '3:21  match[2]: "/data/*" is an absolute path; patterns start at "from"',
  ],
  [
    `${PLACES}match: ["../*"]\n`,
    '3:9  match[1]: "../*" leads out of "from"; patterns start at "from" and stay below it',
  ],
  [
    `${PLACES}match: ["!*.tmp"]\n`,
    '3:9  match[1]: "!*.tmp": a pattern does not begin with "!"; put "*.tmp" under "ignore"',
  ],
  [
    `${PLACES}match: ["in/"]\n`,
    '3:9  match[1]: "in/" means a folder, and only files are matched; write "in/**"',
  ],
  [
    `${PLACES}match: ["[a-z.csv"]\n`,
    '3:9  match[1]: "[a-z.csv" has a bracket without its partner; write \\ before a bracket that belongs to the name',
  ],
  [
    `${PLACES}ignore: ["{a,b"]\n`,
    '3:10  ignore[1]: "{a,b" has a bracket without its partner; write \\ before a bracket that belongs to the name',
  ],
  [
    `${PLACES}ignore: ["[z-a]"]\n`,
    '3:10  ignore[1]: "[z-a]" is not a pattern; use *, **, ?, [a-z] and {a,b}; write \\ before a character that belongs to the name',
  ],
  [
    `${PLACES}ignore: ['in\\old\\*']\n`,
    '3:10  ignore[1]: "in\\old\\*" holds a backslash; separate folders by "/"',
  ],
  [`${PLACES}match: ["**/*.{csv,txt}", "[a-z]*", "report (final)/*"]\n`],
  [
    `${PLACES}done: .done\n`,
    '3:7  done: ".done" would be one marker for all files; write {name} for the name of the file, or {stem} for it without extension, as in "{name}.done"',
  ],
  [
    `${PLACES}done: "{nmae}.done"\n`,
    '3:7  done: "{nmae}.done" holds {nmae}, which stands for nothing; did you mean {name}?',
  ],
  [`${PLACES}done: "ok/{name}"\n`, '3:7  done: "ok/{name}" holds a folder; a marker stands beside its file'],
  [
    `${PLACES}done: "{name}"\n`,
    '3:7  done: "{name}" is the file itself; add something to it, as in "{name}.done"',
  ],
]);

cases('endpoints of places', [
  [
    'from: ./a\nto: { endpoint: sever, path: /in }\n',
    '2:17  to.endpoint: there is no endpoint "sever"; did you mean "server"?',
  ],
  [
    'from: { endpoint: nowhere }\nto: ./b\n',
    '1:19  from.endpoint: there is no endpoint "nowhere"; add it to endpoints.yaml',
  ],
  [
    'from: ./a\nto: server\n',
    '2:5  to: "server" is an endpoint, but a plain text means a folder; write { endpoint: server, path: FOLDER }, or ./server for the folder',
  ],
  [
    'from: ./a\nto: server:/srv/in\n',
    '2:5  to: "server:/srv/in" would be a folder on this host; write { endpoint: server, path: /srv/in }',
  ],
  [
    'from: ./a\nto: sftp://example.com/in\n',
    '2:5  to: "sftp://example.com/in" is a URL, and a plain text means a folder on this host; describe the server in endpoints.yaml and write { endpoint: NAME, path: FOLDER }, or begin with ./ if it is a folder',
  ],
  [
    'from: ./a\nto: me@example.com:in\n',
    '2:5  to: "me@example.com:in" looks like a path on a server, and a plain text means a folder on this host; describe the server in endpoints.yaml and write { endpoint: NAME, path: FOLDER }, or begin with ./ if it is a folder',
  ],
  ['from: ./a\nto: ./odd:name\n'],
  [
    'from: ./a\nto: { endpoint: server, pth: /in }\n',
    '2:25  unknown key "pth" in "to"; did you mean "path"?',
  ],
  ['from: ./a\nto: { path: /in }\n', '2:1  "to.endpoint" is missing'],
  [
    'from: { endpoint: outlet }\nto: ./b\n',
    '1:7  files cannot be fetched from "outlet" (outlet); it can stand in "to"',
  ],
  [
    'from: { endpoint: store }\nto: ./b\nafter: delete\n',
    '3:8  files at "store" (archive) cannot be deleted; write after: keep',
  ],
  [
    'from: { endpoint: store }\nto: ./b\nafter: { archive: done }\n',
    '3:19  files at "store" (archive) cannot be moved; write after: keep',
  ],
]);

cases('paths', [
  ['from: "a\\0b"\nto: ./b\n', '1:7  from: a path is written on one line'],
  ['from: ./a\nto: { endpoint: server, path: "a\\0b" }\n', '2:31  to.path: a path is written on one line'],
  [`${PLACES}after: { archive: "a\\0b" }\n`, '3:19  a path is written on one line'],
  ['from: "a\\nb"\nto: ./b\n', '1:7  from: a path is written on one line'],
  [
    'from: ./a\nto: { endpoint: server, path: ../in }\n',
    '2:31  to.path: "../in" holds ".."; write the path from / on',
  ],
  [
    'from: ./a\nto: { endpoint: server, path: ~/in }\n',
    '2:31  to.path: ~ means nothing at an endpoint; a path without a leading / starts where the login does: write "in"',
  ],
  [
    'from: ./a\nto: { endpoint: server, path: in\\new }\n',
    '2:31  to.path: "in\\new" holds a backslash; separate folders by "/"',
  ],
  [
    'from: ./a\nto: { endpoint: share, path: a/../../b }\n',
    '2:30  to.path: "a/../../b" leads out of the endpoint; paths at this endpoint start at its own folder, /mnt/share',
  ],
  [
    'from: ./a\nto: { endpoint: share, path: /mnt/share/in }\n',
    '2:30  to.path: "/mnt/share/in" says the endpoint\'s own folder again; paths at this endpoint start at its own folder, /mnt/share: write "in"',
  ],
  [
    'from: { endpoint: server }\nto: ./b\nafter: { archive: ~/done }\n',
    '3:19  ~ means nothing at an endpoint; a path without a leading / starts where the login does: write "done"',
  ],
]);

const LOOP = 'what arrives would be sent again, without end; choose a folder outside, or add';

cases('places in one another', [
  ['from: ./a\nto: ./a/\n', '2:5  "to" is the same place as "from"; choose another'],
  ['from: ./a\nto: ./a/in\n', `2:5  this folder lies inside "from" ("in"): ${LOOP} "in/**" to "ignore"`],
  [
    'from: .\nto: [./x, ./a/in]\n',
    `2:6  this folder lies inside "from" ("x"): ${LOOP} "x/**" to "ignore"`,
    `2:11  this folder lies inside "from" ("a/in"): ${LOOP} "a/in/**" to "ignore"`,
  ],
  ['from: ./a/b\nto: ./a\n'],
  ['from: ./a\nto: ./ab\n'],
  [
    'from: /mnt/share/out\nto: { endpoint: share, path: out/sub }\n',
    `2:5  this folder lies inside "from" ("sub"): ${LOOP} "sub/**" to "ignore"`,
  ],
  [
    'from: { endpoint: server, path: /x }\nto: { endpoint: server, path: /x/ }\n',
    '2:5  "to" is the same place as "from"; choose another',
  ],
  [
    'from: { endpoint: server, path: x }\nto: { endpoint: server, path: x/y }\n',
    `2:5  this folder lies inside "from" ("y"): ${LOOP} "y/**" to "ignore"`,
  ],
  [
    'from: { endpoint: server }\nto: { endpoint: server, path: x/y }\n',
    `2:5  this folder lies inside "from" ("x/y"): ${LOOP} "x/y/**" to "ignore"`,
  ],
  ['from: { endpoint: server, path: x }\nto: { endpoint: server, path: xy }\n'],
  ['from: { endpoint: server, path: x }\nto: ./x\n'],
  ['from: ./a\nto: [./b, ./b/]\n', '2:11  the same place is in "to" twice; leave one out'],
  [`${PLACES}after: { archive: ./a }\n`, '3:19  the archive is the same folder as "from"; choose another'],
  [`${PLACES}after: { archive: b }\n`, '3:19  the archive is the same folder as "to"; choose another'],
  // Also in a job that has other problems.
  [
    'from: ./a\nto: [./a/in, 5]\nsetle: 1s\n',
    `2:6  this folder lies inside "from" ("in"): ${LOOP} "in/**" to "ignore"`,
    '2:14  "to[2]" must be a folder, or { endpoint: NAME, path: FOLDER }',
    '3:1  unknown key "setle"; did you mean "settle"?',
  ],
]);

describe('names of files', () => {
  test('say what is wrong with them', async () => {
    await using space = await workspace({
      'jobs/a.yaml': PLACES,
      'jobs/a.yml': PLACES,
      'jobs/endpoints.yml': 'server: { type: sftp, host: x }\n',
      'jobs/my job!.yaml': PLACES,
      'jobs/-x.yaml': PLACES,
      [`jobs/${'x'.repeat(65)}.yaml`]: PLACES,
    });
    const { config, problems } = await space.load();
    assert.deepEqual([...config.jobs.keys()], []);
    const rule = 'letters, digits, ".", "_" and "-" may be in it, and a letter or digit comes first';
    for (const line of [
      `jobs/-x.yaml  "-x" cannot be the name of a job: ${rule}; call it "x"`,
      'jobs/a.yaml  a.yml is a job of the same name; rename one of them',
      'jobs/a.yml  a.yaml is a job of the same name; rename one of them',
      'jobs/endpoints.yml  this name is kept for the endpoints; call the file endpoints.yaml',
      `jobs/my job!.yaml  "my job!" cannot be the name of a job: ${rule}; call it "my-job"`,
      `jobs/${'x'.repeat(65)}.yaml  the name of a job has at most 64 characters, and this has 65`,
    ])
      assert.ok(problems.map(formatProblem).includes(line), line);
  });
});

test('a pattern that only dotfiles could match is a warning', async () => {
  await using space = await workspace({ 'jobs/a.yaml': `${PLACES}match: ["*.csv", "conf/.env*"]\n` });
  const { config, problems, warnings } = await space.load();
  assert.deepEqual(problems, []);
  assert.ok(config.jobs.has('a'));
  assert.deepEqual(warnings.map(formatProblem), [
    'jobs/a.yaml:3:18  "conf/.env*" matches nothing, because dotfiles are never taken; rename them, or leave the pattern out',
  ]);
});
