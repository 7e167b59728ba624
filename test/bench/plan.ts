/** What is measured: each work with its tools. */

import type { Place } from './site.ts';
import { FERRY_BARE_TOOL, FERRY_JUMPS_TOOL, FERRY_TOOL, PEERS, type Tool } from './tools.ts';
import { FTPS_PARALLEL_TOOLS, FTPS_TOOLS } from './tools-ftps.ts';
import { S3_TOOLS } from './tools-s3.ts';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

export interface Work {
  readonly id: string;
  readonly title: string;
  readonly files: number;
  readonly sizeBytes: number;
  readonly perFolder?: number;
  readonly roundTripMs: number;
  /** Default: SFTP. */
  readonly place?: Place;
  readonly tools: readonly Tool[];
  /** Peak memory is what counts; time is not measured well while it is looked at. */
  readonly memory?: boolean;
  /** Takes minutes: not with `--quick`. */
  readonly long?: boolean;
}

const [sftp, , lftp, rclone] = PEERS;
const fastPeers = [sftp, lftp, rclone].filter((tool) => tool !== undefined);

export const WORKS: readonly Work[] = [
  {
    id: 'small-200',
    title: '200 × 4 KiB, 50 ms round trip',
    files: 200,
    sizeBytes: 4096,
    roundTripMs: 50,
    tools: [FERRY_TOOL, FERRY_JUMPS_TOOL, ...PEERS],
  },
  {
    id: 'one-file',
    title: '1 × 4 KiB, 50 ms round trip: the connects, more than anything else',
    files: 1,
    sizeBytes: 4096,
    roundTripMs: 50,
    tools: [FERRY_TOOL, FERRY_JUMPS_TOOL],
  },
  {
    id: 'small-2000',
    title: '2,000 × 4 KiB, 50 ms round trip',
    files: 2000,
    sizeBytes: 4096,
    roundTripMs: 50,
    tools: [FERRY_TOOL, ...fastPeers],
    long: true,
  },
  {
    id: 'small-loopback',
    title: '2,000 × 4 KiB, loopback',
    files: 2000,
    sizeBytes: 4096,
    roundTripMs: 0,
    tools: [FERRY_TOOL, FERRY_BARE_TOOL, ...PEERS],
  },
  {
    id: 'large-100ms',
    title: '64 MiB, 100 ms round trip',
    files: 1,
    sizeBytes: 64 * MIB,
    roundTripMs: 100,
    tools: [FERRY_TOOL, ...PEERS],
  },
  {
    id: 'large-loopback',
    title: '1 GiB, loopback',
    files: 1,
    sizeBytes: GIB,
    roundTripMs: 0,
    tools: [FERRY_TOOL, ...PEERS],
  },
  {
    id: 'memory-large',
    title: '4 GiB, loopback, memory',
    files: 1,
    sizeBytes: 4 * GIB,
    roundTripMs: 0,
    tools: [FERRY_TOOL, FERRY_BARE_TOOL],
    memory: true,
    long: true,
  },
  {
    id: 'memory-many',
    title: '100,000 × 1 KiB owed and sent, loopback, memory',
    files: 100_000,
    sizeBytes: 1024,
    perFolder: 100,
    roundTripMs: 0,
    tools: [FERRY_TOOL, FERRY_BARE_TOOL],
    memory: true,
    long: true,
  },
  {
    id: 'ftps-small',
    title: '2,000 × 4 KiB, FTPS on loopback',
    files: 2000,
    sizeBytes: 4096,
    roundTripMs: 0,
    place: 'ftps',
    tools: FTPS_TOOLS,
  },
  {
    id: 'ftps-20ms',
    title: '2,000 × 4 KiB, FTPS, 20 ms round trip',
    files: 2000,
    sizeBytes: 4096,
    roundTripMs: 20,
    place: 'ftps',
    tools: FTPS_PARALLEL_TOOLS,
    long: true,
  },
  {
    id: 'ftps-large',
    title: '256 MiB, FTPS on loopback',
    files: 1,
    sizeBytes: 256 * MIB,
    roundTripMs: 0,
    place: 'ftps',
    tools: FTPS_TOOLS,
  },
  {
    id: 's3-small',
    title: '2,000 × 4 KiB, S3 (radosgw) on loopback',
    files: 2000,
    sizeBytes: 4096,
    roundTripMs: 0,
    place: 's3',
    tools: S3_TOOLS,
  },
  {
    id: 's3-large',
    title: '256 MiB, S3 (radosgw) on loopback',
    files: 1,
    sizeBytes: 256 * MIB,
    roundTripMs: 0,
    place: 's3',
    tools: S3_TOOLS,
  },
];

/** From close of a dropped file to its final name, less the job's `settle`: measured by drop.ts. */
export const DROP_ID = 'drop';
export const DROP_TITLE = 'a dropped file, from close to final name, less settle';
