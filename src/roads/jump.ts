/**
 * The road through an SSH connection that is open already (a jump host): a forwarded TCP channel. The jump host
 * needs no shell and no SFTP, only leave to forward (`AllowTcpForwarding`).
 */

import type { Duplex } from 'node:stream';
import type { Client } from 'ssh2';
import { Fault, messageOf, throwIfAborted } from '../sync/errors.ts';
import { abortFault, hostPort, type Passed, type Road } from './road.ts';

export interface JumpOptions {
  readonly host: string;
  readonly port: number;
  /** The jump host's name, for messages. */
  readonly through: string;
}

/** @param hop gives the jump host's connection, and takes it back when the road's Duplex has closed */
export function jumpRoad(
  hop: (signal: AbortSignal, passed?: Passed) => Promise<Hop>,
  options: JumpOptions,
): Road {
  const where = hostPort(options.host, options.port);
  return {
    description: `${where} through ${options.through}`,
    open: async (signal, passed) => {
      const { client, release } = await hop(signal, passed);
      try {
        const channel = await forward(client, options, where, signal);
        channel.once('close', release);
        passed?.('hop', `${options.through} forwards to ${where}`);
        return channel;
      } catch (error) {
        release();
        throw error;
      }
    },
  };
}

export interface Hop {
  readonly client: Client;
  /** Harmless when called again. */
  release(): void;
}

function forward(client: Client, options: JumpOptions, where: string, signal: AbortSignal): Promise<Duplex> {
  throwIfAborted(signal);
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(abortFault(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    const refuse = (error: unknown): void => {
      signal.removeEventListener('abort', onAbort);
      reject(refused(error, options, where));
    };
    try {
      client.forwardOut('127.0.0.1', 0, options.host, options.port, (error, channel) => {
        if (error !== undefined) return refuse(error);
        signal.removeEventListener('abort', onAbort);
        channel.on('error', () => undefined);
        if (signal.aborted) channel.destroy();
        else resolve(channel);
      });
    } catch (error) {
      refuse(error); // ssh2 throws when the connection is gone
    }
  });
}

/** RFC 4254, section 5.1: 1 is administratively prohibited, 2 connect failed. */
function refused(error: unknown, options: JumpOptions, where: string): Fault {
  const reason = typeof error === 'object' && error !== null && 'reason' in error ? error.reason : undefined;
  const said = messageOf(error).replace('(SSH) Channel open failure: ', '');
  if (reason === 1) {
    return new Fault('rejected', `${options.through} does not forward to ${where}: ${said}`, {
      code: 'FORWARDING_PROHIBITED',
      cause: error,
      advice: `Its sshd_config must allow it: AllowTcpForwarding yes (or local), and PermitOpen ${where} where that is set; a key with "restrict" in authorized_keys needs "port-forwarding" there too.`,
    });
  }
  return new Fault(
    'unreachable',
    `${options.through} could not reach ${where}: ${said || 'no reason given'}`,
    {
      code: reason === 2 ? 'HOP_CONNECT_FAILED' : 'HOP_LOST',
      cause: error,
      advice: `Seen from ${options.through}: does the name resolve, does the security group of ${options.host} let it in, does sshd run there?`,
    },
  );
}
