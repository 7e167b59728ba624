/**
 * What the tests and the benchmark need from the system, in one list; installs what is missing where it may
 * (root on Debian), and otherwise says exactly what to install.
 */

import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

interface Need {
  /** Debian's name. */
  readonly package: string;
  /** A command of it; there when this is. */
  readonly command: string;
  readonly why: string;
}

const NEEDS: readonly Need[] = [
  { package: 'python3', command: 'python3', why: "node-gyp, to build ssh2's native crypto" },
  { package: 'make', command: 'make', why: 'the same' },
  { package: 'g++', command: 'g++', why: 'the same' },
  { package: 'openssh-server', command: 'sshd', why: 'the SFTP server at the far side' },
  {
    package: 'openssh-client',
    command: 'ssh-keygen',
    why: "keys and agents; sftp and scp, the benchmark's peers",
  },
  { package: 'putty-tools', command: 'puttygen', why: 'keys as users of PuTTY and WinSCP have them' },
  { package: 'git', command: 'git', why: 'what belongs to the project, for the test of its architecture' },
  { package: 'openssl', command: 'openssl', why: 'certificates for FTPS' },
  { package: 'vsftpd', command: 'vsftpd', why: 'the FTPS server at the far side' },
  {
    package: 'iproute2',
    command: 'ip',
    why: 'networks of its own, for the private server behind a load balancer',
  },
  { package: 'nftables', command: 'nft', why: 'the load balancer, in the kernel' },
  { package: 'awscli', command: 'aws', why: 'a proxy command without credentials' },
  { package: 'radosgw', command: 'radosgw', why: 'the S3 server at the far side, with the next two' },
  { package: 'ceph-mon', command: 'ceph-mon', why: 'its monitor' },
  { package: 'ceph-osd', command: 'ceph-osd', why: 'its storage, in memory' },
  { package: 'redis-server', command: 'redis-server', why: 'the queue on a real Redis' },
  { package: 'microsocks', command: 'microsocks', why: 'the SOCKS proxy on the way' },
  { package: 'tinyproxy-bin', command: 'tinyproxy', why: 'the HTTP proxy on the way' },
  { package: 'haproxy', command: 'haproxy', why: 'the load balancer that speaks the PROXY protocol' },
  { package: 'lftp', command: 'lftp', why: "the benchmark's peer" },
  { package: 'rclone', command: 'rclone', why: "the benchmark's peer" },
  { package: 'curl', command: 'curl', why: "the benchmark's peer over FTPS" },
];

/** @throws Error that names what to install, when something is missing and cannot be installed from here */
export function ensureSystem(): void {
  const missing = NEEDS.filter((need) => !found(need.command));
  if (missing.length === 0) return;
  const packages = missing.map((need) => need.package);
  if (process.getuid?.() !== 0 || !found('apt-get')) {
    const lines = missing.map((need) => `  ${need.package}: ${need.why}`);
    throw new Error(
      `These are needed and not here:\n${lines.join('\n')}\nDo: sudo apt-get install ${packages.join(' ')}`,
    );
  }
  console.log(`Installing with apt-get (as root): ${packages.join(' ')}`);
  withoutStartingServices(() => {
    apt('update', '-qq');
    apt('install', '-qq', '-y', '--no-install-recommends', ...packages);
  });
  const still = missing.filter((need) => !found(need.command));
  if (still.length > 0) {
    throw new Error(
      `apt-get install ended well, but not here: ${still.map((need) => need.command).join(', ')}`,
    );
  }
}

function apt(...args: readonly string[]): void {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  try {
    execFileSync('apt-get', args, { env, stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 26 });
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
    throw new Error(`apt-get ${args.join(' ')} failed: ${said}`, { cause: error });
  }
}

/** The tests start servers of their own; Debian's packages would start one for the whole system too. */
function withoutStartingServices(install: () => void): void {
  const policy = '/usr/sbin/policy-rc.d';
  if (existsSync(policy)) {
    install();
    return;
  }
  writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    install();
  } finally {
    rmSync(policy, { force: true });
  }
}

/** Servers live in sbin, which is not on everybody's PATH. */
function found(command: string): boolean {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin', '/sbin'];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
