/** `ferry init`: a commented first jobs/ folder. Overwrites nothing. */

import { initJobs } from '../config/init.ts';
import { kinds } from '../endpoints/index.ts';
import { type Cli, EXIT, json, line } from './cli.ts';
import type { Options } from './commands.ts';

export async function init(cli: Cli, _names: readonly string[], options: Options): Promise<number> {
  const written = await initJobs(cli.settings.jobsFolder, kinds);
  if (options.json === true) {
    json(cli.stdout, { folder: cli.settings.jobsFolder, written });
    return EXIT.ok;
  }
  if (written.length === 0)
    line(cli.stdout, `${cli.settings.jobsFolder} is there already; nothing was changed`);
  for (const file of written) line(cli.stdout, `wrote ${file}`);
  line(
    cli.stdout,
    'Next: `ferry start`, then drop a file into ./outbox. Edit jobs/endpoints.yaml to point at a server of your own.',
  );
  return EXIT.ok;
}
