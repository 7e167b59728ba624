/** Every kind of endpoint: its settings' schema (light, read at start) and its implementation (loaded when used). */

import type { z } from 'zod';
import { type Filling, type Values, valuesFor } from '../config/values.ts';
import type { OpenS3 } from './connector/endpoint.ts';
import { connectorSettings, MOST_FILE_BYTES } from './connector/settings.ts';
import type { Endpoint, EndpointContext } from './endpoint.ts';
import { ftpsSettings } from './ftps/settings.ts';
import { localSettings } from './local/settings.ts';
import { s3Settings } from './s3/settings.ts';
import type { OpenSftp } from './sandbox/endpoint.ts';
import { sandboxSettings } from './sandbox/settings.ts';
import { settings as sftpSettings } from './sftp/settings.ts';

export interface Kind {
  /** The schema of an entry of this kind in `endpoints.yaml`, without `type`; strict about unknown keys. */
  settings(values: Values): z.ZodType;
  /** @param settings what that schema gave */
  create(settings: unknown, context: EndpointContext): Promise<Endpoint>;
  /** How entries of this kind take settings from the files of other programs, where they may. */
  readonly filling?: Filling;
  /** What a job's source of this kind cannot do, so that the configuration can say it; default: nothing. */
  readonly cannot?: readonly ('source' | 'delete' | 'archive')[];
  /** No larger file can be sent there, whatever is done; default: any can. */
  readonly maxBytes?: number;
}

/** Ties a schema to the implementation that takes what it gives. */
export function kind<Settings>(
  settings: (values: Values) => z.ZodType<Settings>,
  load: () => Promise<(settings: Settings, context: EndpointContext) => Endpoint | Promise<Endpoint>>,
  limits: Pick<Kind, 'cannot' | 'maxBytes' | 'filling'> = {},
): Kind {
  return {
    ...limits,
    settings,
    create: async (given, context) => (await load())(given as Settings, context),
  };
}

export const kinds: Readonly<Record<string, Kind>> = {
  connector: kind(
    connectorSettings,
    async () => {
      const { createConnector } = await import('./connector/endpoint.ts');
      return (settings, context) => createConnector(settings, context, openS3);
    },
    { cannot: ['source', 'delete', 'archive'], maxBytes: MOST_FILE_BYTES },
  ),
  ftps: kind(ftpsSettings, async () => (await import('./ftps/endpoint.ts')).createFtps),
  local: kind(localSettings, async () => (await import('./local/endpoint.ts')).createLocal),
  s3: kind(s3Settings, async () => (await import('./s3/endpoint.ts')).createS3),
  sandbox: kind(sandboxSettings, async () => {
    const { createSandbox } = await import('./sandbox/endpoint.ts');
    return (settings, context) => createSandbox(settings, context, openSftp);
  }),
  sftp: kind(sftpSettings, async () => (await import('./sftp/endpoint.ts')).createSftp, {
    filling: {
      by: 'sshConfig',
      gives: ['host', 'user'],
      fill: async (entry, place) => (await import('./sftp/ssh-config.ts')).fillFromSshConfig(entry, place),
    },
  }),
};

/** A connector stages its files through an ordinary S3 endpoint. */
const openS3: OpenS3 = async (entry, context) => {
  const { createS3 } = await import('./s3/endpoint.ts');
  return createS3(s3Settings(valuesFor('/', '/')).parse(entry), context);
};

/** The sandbox is a server of our own behind an ordinary SFTP endpoint. */
const openSftp: OpenSftp = async (entry, context) => {
  const { createSftp } = await import('./sftp/endpoint.ts');
  return createSftp(sftpSettings(valuesFor('/', '/')).parse(entry), context);
};
