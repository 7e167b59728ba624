/** `ferry trust`: shows a server's host keys and pins them in endpoints.yaml after a yes. */

import { pinHostKeys } from '../config/edit.ts';
import type { SeenHostKey } from '../endpoints/endpoint.ts';
import { type Cli, EXIT, json, line, Refusal } from './cli.ts';
import type { Options } from './commands.ts';
import { unknownName } from './names.ts';
import { openSetup } from './setup.ts';

export async function trust(cli: Cli, names: readonly string[], options: Options): Promise<number> {
  const name = names[0] ?? '';
  const asJson = options.json === true;
  await using setup = await openSetup(cli, names);
  const entry = setup.config.endpoints.get(name);
  if (entry === undefined) throw unknownName('endpoint', name, setup.config.endpoints.keys());
  const endpoint = await setup.endpoints.get(name);
  if (endpoint.hostKeys === undefined)
    throw new Refusal(`${name} is of type ${entry.kind}, which has no host keys to pin`);
  const keys = await endpoint.hostKeys({ signal: cli.signal });
  if (!asJson) {
    line(cli.stdout, `${name}  ${endpoint.address} shows`);
    for (const key of keys)
      line(
        cli.stdout,
        `  ${key.type.padEnd(20)} ${key.fingerprint}${key.pinned ? '  (pinned already)' : ''}`,
      );
  }
  const fresh = keys.filter((key) => !key.pinned);
  const commands = fresh.flatMap((key) => key.pinBy ?? []);
  if (commands.length > 0) return told(cli, name, keys, commands, asJson);
  const pinned = fresh.length > 0 && (await agreed(cli, name, options));
  // What is pinned already stays: another server behind the same name may still have that key.
  if (pinned)
    await pinHostKeys(
      entry.file,
      name,
      fresh.map((key) => key.fingerprint),
    );
  if (asJson)
    for (const key of keys) json(cli.stdout, { endpoint: name, ...key, pinned: key.pinned || pinned });
  else line(cli.stdout, outcome(fresh.length, pinned, entry.file));
  return fresh.length === 0 || pinned ? EXIT.ok : EXIT.usage;
}

/** Such keys are kept where only their owner changes them. */
function told(
  cli: Cli,
  name: string,
  keys: readonly SeenHostKey[],
  commands: readonly string[],
  asJson: boolean,
): number {
  if (asJson) for (const key of keys) json(cli.stdout, { endpoint: name, ...key });
  else {
    line(
      cli.stdout,
      'It is not trusted yet. If that is the key of the server (ask whoever runs it), this makes it so:',
    );
    for (const command of commands) line(cli.stdout, `  ${command}`);
  }
  return EXIT.usage;
}

async function agreed(cli: Cli, name: string, options: Options): Promise<boolean> {
  if (options.yes === true) return true;
  return cli.ask(
    `Are these the keys of ${name}? On the server, \`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub\` shows its own. Pin them?`,
  );
}

function outcome(fresh: number, pinned: boolean, file: string): string {
  if (fresh === 0) return 'nothing to pin';
  return pinned ? `pinned in ${file}` : 'not pinned; say yes, or use --yes in a script';
}
