/** `ferry plan`: what a run would send and why, and what it would leave and why. Touches nothing. */

import { formatBytes, formatCount } from '../observe/format.ts';
import { examineAll, type Finding } from '../sync/examine.ts';
import { mountPointOf } from '../sync/mounts.ts';
import { printable } from '../sync/names.ts';
import { Settling } from '../sync/settling.ts';
import { type Cli, EXIT, json, line } from './cli.ts';
import type { Options } from './commands.ts';
import { jobsNamed, openEndpoints, openRecordIfThere, readConfig } from './setup.ts';

export async function plan(cli: Cli, names: readonly string[], options: Options): Promise<number> {
  const { config } = await readConfig(cli, names);
  await using owner = new AsyncDisposableStack();
  const endpoints = openEndpoints(cli, config, owner);
  const ledger = openRecordIfThere(cli);
  if (ledger !== undefined) owner.use(ledger);
  for (const job of jobsNamed(config, names)) {
    await using place = await endpoints.open(job.from.endpoint, cli.signal);
    await mountPointOf(place.session, job, ledger?.job(job.name)?.mount, cli);
    const tally = { send: 0, bytes: 0, leave: 0 };
    const findings = examineAll({
      job,
      session: place.session,
      ledger: ledger ?? { latest: () => undefined },
      settling: new Settling(job.settleMs),
      now: cli.now,
      skippedAgainMs: 0,
      signal: cli.signal,
      lookOnly: true,
      unreadable: (path, fault) => line(cli.stderr, `ferry: ${printable(path)}: ${fault.message}`),
    });
    for await (const finding of findings) {
      const action = actionOf(finding);
      if (action === 'send') {
        tally.send += 1;
        tally.bytes += finding.entry.version.sizeBytes;
      } else tally.leave += 1;
      if (finding.verdict.is === 'left' && finding.entry.kind === 'file' && options.all !== true) continue;
      show(cli, options.json === true, job.name, finding, action);
    }
    if (options.json === true) continue;
    line(
      cli.stdout,
      `${job.name}: ${formatCount(tally.send, 'file')} to send, ${formatBytes(tally.bytes)}; ${tally.leave} to leave`,
    );
  }
  return EXIT.ok;
}

/** What `run` would do: it waits for files that settle, so those are sent. */
function actionOf({ verdict }: Finding): 'send' | 'leave' {
  return verdict.is === 'due' ||
    verdict.is === 'owed' ||
    (verdict.is === 'waiting' && verdict.lookAgainMs !== undefined)
    ? 'send'
    : 'leave';
}

function show(
  cli: Cli,
  asJson: boolean,
  job: string,
  { path, entry, verdict }: Finding,
  action: 'send' | 'leave',
): void {
  const why = verdict.is === 'delivered' ? 'delivered already' : verdict.why;
  const to =
    verdict.is === 'due'
      ? verdict.deliveries.map(({ endpoint, target }) => ({ endpoint, path: target }))
      : [];
  if (asJson) {
    json(cli.stdout, { job, path, action, why, size: entry.version.sizeBytes, to });
    return;
  }
  const where = to.map((one) => ` → ${one.endpoint}:${printable(one.path)}`).join('');
  line(
    cli.stdout,
    `${action === 'send' ? '+' : ' '} ${printable(path)}  ${formatBytes(entry.version.sizeBytes)}  ${why}${where}`,
  );
}
