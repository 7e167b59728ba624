/** A folder with a jobs folder in it, and small kinds of endpoints, so that these tests depend on no real ones. */

import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { Loaded } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problems.ts';
import { kind } from '../../src/endpoints/index.ts';
import { temporaryFolder } from '../support/files.ts';

const never = async () => () => {
  throw new Error('no test of the configuration makes an endpoint');
};

const oneOrMore = z.union([z.string(), z.array(z.string())]);

export const kinds = {
  sftp: kind(
    (values) =>
      z
        .strictObject({
          host: z.string().min(1),
          port: z.int().min(1).max(65_535).default(22),
          user: z.string().optional(),
          password: z.string().optional(),
          key: values.path.optional(),
          knownHosts: values.path.optional(),
          hostKey: z
            .union([z.string().regex(/^SHA256:/, 'a host key begins with SHA256:'), z.array(z.string())])
            .optional(),
          idleTimeout: values.duration.optional(),
          buffer: values.size.optional(),
          compress: z.boolean().optional(),
          via: oneOrMore.optional(),
        })
        .superRefine((given, context) => {
          if (given.user === 'nobody')
            context.addIssue({ code: 'custom', message: `${given.user}:${given.password} may not log in` });
        }),
    never,
  ),
  local: kind((values) => z.strictObject({ path: values.path }), never),
  outlet: kind(() => z.strictObject({}), never, { cannot: ['source'] }),
  archive: kind(() => z.strictObject({}), never, { cannot: ['delete', 'archive'] }),
};

export interface Workspace extends AsyncDisposable {
  readonly path: string;
  write(name: string, text: string): Promise<void>;
  load(env?: Readonly<Record<string, string>>, dataFolder?: string): Promise<Loaded>;
  /** The problems alone, as a person sees them. */
  problems(env?: Readonly<Record<string, string>>): Promise<readonly string[]>;
}

/** @param files by their path from the folder that holds jobs/ */
export async function workspace(files: Readonly<Record<string, string>>): Promise<Workspace> {
  const folder = await temporaryFolder('config');
  const write = async (name: string, text: string): Promise<void> => {
    await mkdir(dirname(join(folder.path, name)), { recursive: true });
    await writeFile(join(folder.path, name), text);
  };
  for (const [name, text] of Object.entries(files)) await write(name, text);
  const load: Workspace['load'] = (env = {}, dataFolder) =>
    loadConfig({
      jobsFolder: join(folder.path, 'jobs'),
      home: '/home/operator',
      env,
      kinds,
      ...(dataFolder === undefined ? {} : { dataFolder }),
    });
  return {
    path: folder.path,
    write,
    load,
    problems: async (env) => (await load(env)).problems.map(formatProblem),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}
