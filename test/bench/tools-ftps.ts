/** What sends a folder over FTPS, every data connection resuming the session of its control connection. */

import { readdir, writeFile } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { type Errand, ferry, type Tool } from './tools.ts';

/** Of Ferry, which is its default, and of lftp. */
const CONNECTIONS = 4;

const FERRY_FTPS: Tool = ferry({
  name: 'ferry',
  endpoints: async ({ site, roundTripMs }) => {
    const { host, port, user, password, caFile } = await site.ftps(roundTripMs);
    return { far: { type: 'ftps', host, port, user, password, ca: caFile, connections: CONNECTIONS } };
  },
});

const lftp: Tool = {
  name: `lftp -P ${CONNECTIONS}`,
  command: async ({ source, remote, site, roundTripMs }) => {
    const { host, port, user, password, caFile } = await site.ftps(roundTripMs);
    const script = [
      'set ftp:ssl-force true',
      'set ftp:ssl-protect-data true',
      'set ftp:prefer-epsv true',
      `set ssl:ca-file ${caFile}`,
      'set net:max-retries 1',
      `open -p ${port} -u ${user},"${password}" ftp://${host}`,
      `mirror -R -P ${CONNECTIONS} ${source} ${remote}/${basename(source)}`,
      'bye',
    ].join('; ');
    return { argv: ['lftp', '--norc', '-c', script] };
  },
};

/**
 * One file after another on one connection: with `--parallel` it makes a connection for each file. It does not resume
 * TLS 1.3 sessions on more than one data connection (curl 7.88), and vsftpd insists.
 */
const curl: Tool = {
  name: 'curl',
  command: async (errand) => {
    const config = join(errand.scratch, 'curl.config');
    await writeFile(config, await curlConfig(errand));
    return { argv: ['curl', '--config', config] };
  },
};

async function curlConfig({ source, remote, site, roundTripMs }: Errand): Promise<string> {
  const { host, port, user, password, caFile } = await site.ftps(roundTripMs);
  const entries = await readdir(source, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const uploads = files.map((file) => {
    const path = `${remote}/${basename(source)}/${relative(source, file)}`;
    return [`upload-file = "${file}"`, `url = "ftp://${host}:${port}/%2F${path.slice(1)}"`].join('\n');
  });
  const options = [
    'silent',
    'show-error',
    'fail',
    'ssl-reqd',
    'ftp-create-dirs',
    'tls-max = 1.2',
    `cacert = "${caFile}"`,
  ];
  return [...options, `user = "${user}:${password}"`, ...uploads, ''].join('\n');
}

/** For one file. */
export const FTPS_TOOLS: readonly Tool[] = [FERRY_FTPS, lftp, curl];
/** For many: with several connections. */
export const FTPS_PARALLEL_TOOLS: readonly Tool[] = [FERRY_FTPS, lftp];
