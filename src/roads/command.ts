/**
 * The road through a program's stdin and stdout, as `ProxyCommand` of ssh_config: the AWS CLI's
 * `ssm start-session`, `ec2-instance-connect open-tunnel`, or anything that speaks to the server.
 *
 * It is started without a shell, unless a shell was asked for. The program and what it started end with the
 * connection, and the end of what it wrote to stderr is in the error.
 */

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { Duplex, type Readable, type Writable } from 'node:stream';
import { codeOf, Fault, throwIfAborted } from '../sync/errors.ts';
import type { Road } from './road.ts';

/** A program and its arguments; or what `/bin/sh -c` is to run. */
export type ProxyCommand = readonly string[] | { readonly shell: string };

export interface CommandOptions {
  readonly command: ProxyCommand;
  /** For `%h`, `%p` and `%r`. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** What is kept of stderr. */
const TAIL_CHARACTERS = 1_000;
/** How sh ends when it does not find a program. */
const SHELL_NOT_FOUND = 127;
/** From SIGTERM to SIGKILL. */
const GRACE_MS = 2_000;

export function commandRoad(options: CommandOptions): Road {
  const [program = '', ...args] = commandLine(options);
  const name = 'shell' in options.command ? (/\S+/.exec(options.command.shell)?.[0] ?? '') : program;
  return {
    description: `the proxy command ${name}`,
    open: async (signal, passed) => {
      throwIfAborted(signal);
      const child = await start(program, args, options, name);
      passed?.('proxy command', `${name} started`);
      return duplexOf(child, name);
    },
  };
}

/** %h, %p, %r and %% replaced, as in ssh_config(5). */
export function expand(text: string, options: Pick<CommandOptions, 'host' | 'port' | 'user'>): string {
  const values: Readonly<Record<string, string>> = {
    h: options.host,
    p: String(options.port),
    r: options.user,
    '%': '%',
  };
  return text.replace(/%([hpr%])/g, (_, letter: string) => values[letter] ?? '');
}

function commandLine({ command, ...values }: CommandOptions): readonly string[] {
  if ('shell' in command) return ['/bin/sh', '-c', expand(command.shell, values)];
  return command.map((word) => expand(word, values));
}

function start(
  program: string,
  args: readonly string[],
  options: CommandOptions,
  name: string,
): Promise<Child> {
  return new Promise((resolve, reject) => {
    // A process group of its own, so that what the program starts can be ended with it.
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
      env: { ...options.env },
    });
    child.once('spawn', () => resolve(child));
    child.once('error', (error) => {
      const missing = codeOf(error) === 'ENOENT';
      reject(
        new Fault(
          'rejected',
          `the proxy command ${name} could not be started: ${missing ? 'not found' : error.message}`,
          {
            code: missing ? 'PROXY_COMMAND_MISSING' : 'PROXY_COMMAND_FAILED',
            cause: error,
            ...(missing ? notFound(name) : { advice: 'Look at its permissions.' }),
          },
        ),
      );
    });
  });
}

function duplexOf(child: Child, name: string): Duplex {
  let stderr = '';
  let spoke = false;
  let closed = false;
  let killer: NodeJS.Timeout | undefined;
  const kill = (how: NodeJS.Signals): void => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, how);
    } catch {
      child.kill(how); // the group is gone already
    }
  };
  const end = (): void => {
    kill('SIGKILL');
    for (const pipe of [child.stdin, child.stdout, child.stderr]) pipe.destroy();
  };
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-TAIL_CHARACTERS);
  });
  for (const pipe of [child.stdin, child.stdout, child.stderr]) pipe.on('error', () => undefined);

  const duplex = new Duplex({
    read: () => void child.stdout.resume(),
    write: (chunk: Buffer, _encoding, done) => {
      child.stdin.write(chunk, (error) => {
        if (error === null || error === undefined) done();
        // It does not read any more, which is no news when it is ending: why it does is told by 'close'.
        else setTimeout(done, GRACE_MS, error).unref();
      });
    },
    final: (done) => {
      child.stdin.end(() => done());
    },
    destroy: (error, done) => {
      if (!closed) {
        kill('SIGTERM');
        killer ??= setTimeout(end, GRACE_MS);
      }
      done(error);
    },
  });
  child.stdout.on('data', (bytes: Buffer) => {
    spoke = true;
    if (!duplex.push(bytes)) child.stdout.pause();
  });
  // Something that it started may go on and hold the pipes open: nobody speaks to the server any more all the same.
  child.once('exit', () => {
    killer ??= setTimeout(end, GRACE_MS);
  });
  // 'close' comes after the exit and after the last byte of every pipe: only then is it known why it ended.
  child.once('close', (code, how) => {
    closed = true;
    clearTimeout(killer);
    if (duplex.destroyed) return;
    if (code === 0 && spoke) duplex.push(null);
    else duplex.destroy(ended(name, code, how, stderr));
  });
  return duplex;
}

function ended(name: string, code: number | null, how: NodeJS.Signals | null, stderr: string): Fault {
  const said = stderr.trim();
  const why = code === null ? `was killed by ${how ?? 'a signal'}` : `ended with exit code ${code}`;
  return new Fault('unreachable', `the proxy command ${name} ${why}${said === '' ? '' : `: ${said}`}`, {
    code: code === SHELL_NOT_FOUND ? 'PROXY_COMMAND_MISSING' : 'PROXY_COMMAND',
    ...(code === SHELL_NOT_FOUND ? notFound(name) : diagnosis(said)),
  });
}

function notFound(name: string): Diagnosis {
  return {
    means: 'The program is not installed here, or not on the PATH of Ferry.',
    advice: `Install ${name}, or write its full path.`,
  };
}

interface Diagnosis {
  readonly means?: string;
  readonly advice: string;
}

const BY_HAND = 'Run the same command by hand as the user who runs Ferry';

function diagnosis(said: string): Diagnosis {
  if (/SessionManagerPlugin is not found/i.test(said)) {
    return {
      means: "The AWS CLI needs Session Manager's plugin for this.",
      advice: 'Install session-manager-plugin, as AWS describes it.',
    };
  }
  if (/Unable to locate credentials|NoCredentials/i.test(said)) {
    return {
      means: 'It found no AWS credentials: what your own shell has, a service or a container may not have.',
      advice: `Give Ferry's environment AWS_PROFILE (and the user's ~/.aws), or a role. ${BY_HAND}.`,
    };
  }
  if (/ExpiredToken|sso login|SSO session|credential/i.test(said)) {
    return {
      means: 'Its AWS credentials are not valid, or not any more.',
      advice: `Renew them. ${BY_HAND}.`,
    };
  }
  if (/AccessDenied|UnauthorizedOperation|not authorized/i.test(said)) {
    return {
      means: 'Its AWS credentials have no permission for this.',
      advice:
        'Allow ssm:StartSession on the instance and the document AWS-StartSSHSession, or ec2-instance-connect:OpenTunnel.',
    };
  }
  if (/TargetNotConnected/i.test(said)) {
    return {
      means: 'The instance is not connected to Session Manager.',
      advice:
        'Is its SSM agent running, with an instance role that lets it (AmazonSSMManagedInstanceCore) and a way to the ssm endpoints?',
    };
  }
  if (/specify a region|NoRegion/i.test(said)) {
    return {
      means: 'It does not know which region to ask.',
      advice: 'Set AWS_REGION, or --region in the command.',
    };
  }
  return { advice: `${BY_HAND}.` };
}
