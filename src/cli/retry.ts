/** `ferry retry`: puts failed deliveries back to due, with fresh attempts. A running worker takes them at once. */

import { formatCount } from '../observe/format.ts';
import { type Cli, EXIT, json, line, Refusal } from './cli.ts';
import type { Options } from './commands.ts';
import { asJson } from './history.ts';
import { assertJob, openRecord } from './setup.ts';

export async function retry(cli: Cli, names: readonly string[], options: Options): Promise<number> {
  const job = options.job;
  const ids = names.map((name) => {
    if (!/^\d+$/.test(name))
      throw new Refusal(`"${name}" is not the id of a delivery; \`ferry history --state failed\` shows them`);
    return Number(name);
  });
  using ledger = openRecord(cli);
  if (typeof job === 'string') await assertJob(cli, ledger, job);
  const missing = ids.filter((id) => ledger.get(id) === undefined);
  if (missing.length > 0) throw new Refusal(`there is no delivery ${missing.join(', ')}`);
  const which = { ...(ids.length > 0 ? { ids } : {}), ...(typeof job === 'string' ? { job } : {}) };
  const retried = ledger.retry(which, cli.now());
  if (options.json === true) for (const delivery of retried) json(cli.stdout, asJson(delivery));
  else line(cli.stdout, `${formatCount(retried.length, 'delivery', 'deliveries')} put back to due`);
  return EXIT.ok;
}
