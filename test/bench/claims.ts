/** What was promised of the figures. */

import { DROP_TITLE } from './plan.ts';
import { FERRY_BARE_TOOL, FERRY_JUMPS_TOOL, FERRY_TOOL, type Tool } from './tools.ts';

export interface Figures {
  /** Median seconds of a tool at a work. */
  seconds(work: string, tool: string): number | undefined;
  /** Most bytes resident: `tree` with all child processes, e.g. a private Redis. */
  memory(work: string, tool: string): number | undefined;
  readonly dropMs: number | undefined;
}

export interface Claim {
  readonly says: string;
  readonly unit: 'times' | 'seconds' | 'MB' | 'ms';
  readonly target: number;
  readonly better: 'more' | 'less';
  measure(figures: Figures): number | undefined;
}

/** How many times longer the peer takes. */
function ratio(work: string, peer: string): (figures: Figures) => number | undefined {
  return (figures) => {
    const ours = figures.seconds(work, FERRY_TOOL.name);
    const theirs = figures.seconds(work, peer);
    return ours === undefined || theirs === undefined ? undefined : theirs / ours;
  };
}

/** How many times longer 200 files take through jump hosts, without what the connects to these take. */
function jumpRatio(figures: Figures): number | undefined {
  const seconds = (work: string): readonly [number | undefined, number | undefined] => [
    figures.seconds(work, FERRY_TOOL.name),
    figures.seconds(work, FERRY_JUMPS_TOOL.name),
  ];
  const [direct, jumps] = seconds('small-200');
  const [directOne, jumpsOne] = seconds('one-file');
  if (direct === undefined || jumps === undefined || directOne === undefined || jumpsOne === undefined)
    return undefined;
  return (jumps - (jumpsOne - directOne)) / direct;
}

function megabytes(work: string, tool: Tool): (figures: Figures) => number | undefined {
  return (figures) => {
    const bytes = figures.memory(work, tool.name);
    return bytes === undefined ? undefined : bytes / 1e6;
  };
}

export const CLAIMS: readonly Claim[] = [
  {
    says: '200 small files at 50 ms: ferry through 2 jump hosts, less its connects ÷ ferry',
    unit: 'times',
    target: 1.5,
    better: 'less',
    measure: jumpRatio,
  },
  {
    says: '2,000 small files at 50 ms: lftp -P 10 ÷ ferry',
    unit: 'times',
    target: 10,
    better: 'more',
    measure: ratio('small-2000', 'lftp -P 10'),
  },
  {
    says: '2,000 small files at 50 ms: sftp ÷ ferry',
    unit: 'times',
    target: 60,
    better: 'more',
    measure: ratio('small-2000', 'sftp -r'),
  },
  {
    says: '2,000 small files on loopback: sftp ÷ ferry',
    unit: 'times',
    target: 1,
    better: 'more',
    measure: ratio('small-loopback', 'sftp -r'),
  },
  {
    says: '2,000 small files on loopback, no Redis installed',
    unit: 'seconds',
    target: 10,
    better: 'less',
    measure: (figures) => figures.seconds('small-loopback', FERRY_BARE_TOOL.name),
  },
  {
    says: '1 GiB on loopback: scp ÷ ferry',
    unit: 'times',
    target: 1.3,
    better: 'more',
    measure: ratio('large-loopback', 'scp -r'),
  },
  {
    says: '64 MiB at 100 ms: scp ÷ ferry',
    unit: 'times',
    target: 1,
    better: 'more',
    measure: ratio('large-100ms', 'scp -r'),
  },
  {
    says: 'memory with a 4 GiB file',
    unit: 'MB',
    target: 250,
    better: 'less',
    measure: megabytes('memory-large', FERRY_TOOL),
  },
  {
    says: 'memory with a 4 GiB file, no Redis installed',
    unit: 'MB',
    target: 250,
    better: 'less',
    measure: megabytes('memory-large', FERRY_BARE_TOOL),
  },
  {
    says: 'memory with 100,000 files owed',
    unit: 'MB',
    target: 350,
    better: 'less',
    measure: megabytes('memory-many', FERRY_TOOL),
  },
  {
    says: 'memory with 100,000 files owed, no Redis installed',
    unit: 'MB',
    target: 350,
    better: 'less',
    measure: megabytes('memory-many', FERRY_BARE_TOOL),
  },
  {
    says: '2,000 small files by FTPS on loopback: lftp -P 4 ÷ ferry',
    unit: 'times',
    target: 1,
    better: 'more',
    measure: ratio('ftps-small', 'lftp -P 4'),
  },
  {
    says: '2,000 small files by FTPS at 20 ms: lftp -P 4 ÷ ferry',
    unit: 'times',
    target: 1,
    better: 'more',
    measure: ratio('ftps-20ms', 'lftp -P 4'),
  },
  {
    says: '256 MiB by FTPS on loopback: lftp ÷ ferry',
    unit: 'times',
    target: 1,
    better: 'more',
    measure: ratio('ftps-large', 'lftp -P 4'),
  },
  {
    says: '256 MiB by FTPS on loopback: curl ÷ ferry',
    unit: 'times',
    target: 1,
    better: 'more',
    measure: ratio('ftps-large', 'curl'),
  },
  {
    says: '2,000 small files into S3 on loopback: rclone ÷ ferry',
    unit: 'times',
    target: 1,
    better: 'more',
    measure: ratio('s3-small', 'rclone 32'),
  },
  {
    says: '256 MiB into S3 on loopback: rclone ÷ ferry',
    unit: 'times',
    target: 1,
    better: 'more',
    measure: ratio('s3-large', 'rclone 32'),
  },
  { says: DROP_TITLE, unit: 'ms', target: 300, better: 'less', measure: (figures) => figures.dropMs },
];
