/** The table of commands: names, options, help. What they do is in the files that they load. */

import type { Command } from 'commander';
import { Fault } from '../sync/errors.ts';
import { type Cli, EXIT, line, Refusal } from './cli.ts';
import { VERSION } from './version.ts';

type Action = (cli: Cli, names: readonly string[], options: Options) => Promise<number>;
export type Options = Readonly<Record<string, string | boolean | undefined>>;

interface Spec {
  readonly usage: string;
  readonly summary: string;
  readonly options: readonly (readonly [flags: string, description: string])[];
  readonly examples: readonly (readonly [command: string, does: string])[];
  readonly load: () => Promise<Action>;
}

const JSON_OPTION = ['--json', 'one JSON object a line on stdout, nothing else there'] as const;

const COMMANDS: readonly Spec[] = [
  {
    usage: 'start',
    summary: 'the worker: watches, schedules, delivers, serves health and dashboards, until SIGTERM',
    options: [JSON_OPTION, ['--grace <duration>', 'how long a stop lets transfers finish (default 100s)']],
    examples: [['ferry start', 'runs every job in ./jobs']],
    load: async () => (await import('./start.ts')).start,
  },
  {
    usage: 'run <jobs...>',
    summary: 'scans now, delivers all that is due, and ends',
    options: [
      JSON_OPTION,
      ['--timeout <duration>', 'give up after so long; what is left stays due (exit code 3)'],
    ],
    examples: [
      ['ferry run invoices', 'sends what is due, with progress'],
      ['ferry run invoices --timeout 20m --json', 'from a script or cron'],
    ],
    load: async () => (await import('./run.ts')).run,
  },
  {
    usage: 'plan <jobs...>',
    summary: 'what `run` would send and why, and what it would leave and why; touches nothing',
    options: [JSON_OPTION, ['--all', 'also files that are not the job’s (dotfiles, ignored, not matched)']],
    examples: [['ferry plan invoices', 'shows what is due']],
    load: async () => (await import('./plan.ts')).plan,
  },
  {
    usage: 'check [names...]',
    summary: 'reads the configuration, then tries every endpoint (or those of the jobs named) for real',
    options: [
      JSON_OPTION,
      [
        '--idle [up-to]',
        'measures as well after how long without traffic a load balancer drops connections (takes up to 7m)',
      ],
    ],
    examples: [
      ['ferry check', 'everything'],
      ['ferry check app-server', 'one endpoint'],
      ['ferry check app-server --idle', 'and the idle limit of the load balancer before it'],
      ['ferry check app-server --idle=2m', 'the same, no longer than two minutes'],
    ],
    load: async () => (await import('./check.ts')).check,
  },
  {
    usage: 'trust <endpoint>',
    summary: 'shows the host keys of a server with their SHA256 fingerprints and pins them after a yes',
    options: [JSON_OPTION, ['--yes', 'pin without asking, for scripts']],
    examples: [['ferry trust app-server', 'compare the fingerprints with the server’s before you say yes']],
    load: async () => (await import('./trust.ts')).trust,
  },
  {
    usage: 'status [jobs...]',
    summary: 'what is owed, moving, failed, per job; what endpoints are held or stopped, and what to do',
    options: [JSON_OPTION],
    examples: [['ferry status', 'at a glance']],
    load: async () => (await import('./status.ts')).status,
  },
  {
    usage: 'history',
    summary: 'every delivery, newest first',
    options: [
      JSON_OPTION,
      ['--job <job>', 'of one job'],
      ['--state <state>', 'due, queued, sending, delivered, failed or superseded'],
      ['--since <when>', 'a duration back (2h, 7d) or a date (2026-11-01, 2026-11-01T06:00Z)'],
      ['--path <glob>', 'whose source path matches'],
      ['--limit <n>', 'at most so many (default 50 on a terminal, else all)'],
      ['--attempts', 'with every attempt'],
    ],
    examples: [
      ['ferry history --state failed --since 1d', 'what went wrong since yesterday'],
      ['ferry history --path "**/invoice-17*.csv" --json', 'the proof for one file'],
    ],
    load: async () => (await import('./history.ts')).history,
  },
  {
    usage: 'retry [ids...]',
    summary: 'puts failed deliveries back to due',
    options: [JSON_OPTION, ['--job <job>', 'all that failed of one job']],
    examples: [
      ['ferry retry 41 42', 'two deliveries, by the id that history shows'],
      ['ferry retry --job invoices', 'all of a job'],
    ],
    load: async () => (await import('./retry.ts')).retry,
  },
  {
    usage: 'pause <names...>',
    summary: 'holds endpoints or jobs: nothing is sent, all is kept',
    options: [JSON_OPTION],
    examples: [['ferry pause app-server', 'while the server is maintained']],
    load: async () => (await import('./hold.ts')).pause,
  },
  {
    usage: 'resume <names...>',
    summary: 'releases what was paused, tries endpoints again that stopped, accepts a source as it is',
    options: [JSON_OPTION],
    examples: [
      ['ferry resume app-server', 'after its password was corrected'],
      ['ferry resume invoices', 'its folder is no mounted share any more, on purpose'],
    ],
    load: async () => (await import('./hold.ts')).resume,
  },
  {
    usage: 'init',
    summary: 'writes a commented first jobs/',
    options: [JSON_OPTION],
    examples: [['ferry init && ferry start', 'from nothing to a first delivered file']],
    load: async () => (await import('./init.ts')).init,
  },
];

export function addCommands(program: Command, cli: Cli, ended: (code: number) => void): void {
  program
    .name('ferry')
    .description(
      'Carries files from watched folders and schedules to private servers and buckets, each exactly once.',
    )
    .version(VERSION, '-V, --version', 'the version of Ferry')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => cli.stdout.write(text),
      writeErr: (text) => cli.stderr.write(text),
    })
    .showHelpAfterError('(ferry --help shows the commands)')
    .addHelpText(
      'after',
      '\nEnvironment: FERRY_JOBS, FERRY_DATA, REDIS_URL, FERRY_HTTP, FERRY_SITE, FERRY_LOG; see README.md.\nExit codes: 0 all well, 1 a delivery failed, 2 bad configuration or usage, 3 unreachable or out of time.',
    );
  for (const spec of COMMANDS) addCommand(program, cli, spec, ended);
}

function addCommand(program: Command, cli: Cli, spec: Spec, ended: (code: number) => void): void {
  const command = program.command(spec.usage).description(spec.summary);
  for (const [flags, description] of spec.options) command.option(flags, description);
  const width = Math.max(...spec.examples.map(([example]) => example.length));
  command.addHelpText(
    'after',
    `\nExamples:\n${spec.examples.map(([example, does]) => `  ${example.padEnd(width)}   ${does}`).join('\n')}`,
  );
  command.action(async (...given: unknown[]) => {
    const names = given.length === 3 ? [given[0]].flat().map(String) : [];
    ended(await act(cli, spec, names, command.opts<Options>()));
  });
}

async function act(cli: Cli, spec: Spec, names: readonly string[], options: Options): Promise<number> {
  try {
    const action = await spec.load();
    return await action(cli, names, options);
  } catch (error) {
    if (error instanceof Refusal) {
      line(cli.stderr, `ferry: ${error.message}`);
      return error.code;
    }
    if (!(error instanceof Fault)) throw error;
    line(cli.stderr, `ferry: ${error.message}`);
    if (error.advice !== undefined) line(cli.stderr, `  ${error.advice}`);
    return error.kind === 'unreachable' ? EXIT.unreachable : EXIT.usage;
  }
}
