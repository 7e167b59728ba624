/** The configuration as the rest of Ferry gets it: valid, resolved, plain data. Settings hold secrets: never log them. */

import type { Job } from '../sync/job.ts';
import type { Problem } from './problems.ts';

export interface EndpointEntry {
  /** As in endpoints.yaml, or `folder:/absolute/path` of a plain folder in a job. */
  readonly name: string;
  readonly kind: string;
  /** What the kind's own schema made of it. */
  readonly settings: unknown;
  /** Absolute path of the file that it is written in. */
  readonly file: string;
  readonly line: number;
  /** Changes when the entry does, or a file that it refers to, or a jump host on its way. Shows no secret. */
  readonly fingerprint: string;
}

export interface Config {
  readonly jobs: ReadonlyMap<string, Job>;
  /** Those of endpoints.yaml and those made of plain folders. */
  readonly endpoints: ReadonlyMap<string, EndpointEntry>;
  /** Absolute path of the jobs folder. */
  readonly folder: string;
  /** Absolute paths of all that was read: the YAML files, and the files that `${file:}` and `key:` name. */
  readonly files: readonly string[];
}

export interface Loaded {
  /** All that is valid, also where something beside it is not. */
  readonly config: Config;
  /** In the order of files and lines. */
  readonly problems: readonly Problem[];
  /** What a person should know and what stops nothing. */
  readonly warnings: readonly Problem[];
  /** Names of what is written but not valid, so that a running worker can keep what it has of them. */
  readonly broken: {
    readonly jobs: ReadonlySet<string>;
    readonly endpoints: ReadonlySet<string>;
    /** endpoints.yaml as a whole could not be read: nothing is known of its entries. */
    readonly endpointsFile: boolean;
  };
}
