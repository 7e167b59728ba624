/** The settings of an FTPS endpoint, as they stand in endpoints.yaml. Light: read at start, loads no FTP. */

import { z } from 'zod';
import type { Values } from '../../config/values.ts';

const oneOrMore = <Item extends z.ZodType>(item: Item) =>
  z
    .union([item, z.array(item)])
    .transform((value): readonly z.output<Item>[] => (Array.isArray(value) ? value : [value]));

/** YAML reads an unquoted 1.2 as a number. */
const tlsVersion = z
  .union([z.enum(['1.2', '1.3']), z.literal(1.2), z.literal(1.3)])
  .transform((value) => (Number(value) === 1.2 ? ('TLSv1.2' as const) : ('TLSv1.3' as const)));

export function ftpsSettings(values: Values) {
  return z
    .strictObject({
      host: z
        .string()
        .min(1)
        .describe('Name or address of the server, or of the load balancer in front of it'),
      port: z.int().min(1).max(65_535).optional().describe('Default 21; 990 when implicit'),
      implicit: z
        .boolean()
        .default(false)
        .describe('TLS from the first byte (port 990), instead of after AUTH TLS'),
      user: z.string().min(1),
      password: z.string(),
      ca: oneOrMore(values.path)
        .default([])
        .describe(
          'PEM files of the authorities that may vouch for the server (or its own certificate); default: the public ones',
        ),
      servername: z
        .string()
        .min(1)
        .optional()
        .describe('The name that the certificate must hold, where it is not the host'),
      maxTls: tlsVersion
        .optional()
        .describe('1.2 for servers that do not resume TLS 1.3 sessions; default: the newest'),
      bindAddress: z.string().min(1).optional().describe('Local address to connect from'),
      proxy: z
        .never({
          error:
            'FTPS does not go through a proxy: it opens a connection of its own for each file; sftp does',
        })
        .optional()
        .describe('Not with FTPS'),
      idleTimeout: values.duration.prefault('350s').describe('Of the load balancer in front'),
      connections: z.int().min(1).max(64).default(4).describe('At most so many at once; one file on each'),
      connectTimeout: values.duration.prefault('20s').describe('From the name to a login that works'),
      keepAlive: values.duration
        .optional()
        .describe(
          'TCP keep-alive of a waiting control connection; default: a third of idleTimeout, 60s at most',
        ),
      timeout: values.duration
        .prefault('60s')
        .describe('A connection without a sign of life for so long is given up'),
      server: z
        .enum(['auto', 'aws-transfer', 'generic'])
        .default('auto')
        .describe('aws-transfer: AWS Transfer Family on S3; default: found out'),
      rename: z
        .enum(['auto', 'never'])
        .default('auto')
        .describe('never: files are written under their final name'),
    })
    .transform((given) => ({ ...given, port: given.port ?? (given.implicit ? 990 : 21) }));
}

export type FtpsSettings = z.output<ReturnType<typeof ftpsSettings>>;
