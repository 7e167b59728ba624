/** Watches the folder named on its command line and prints what is told, a JSON line each; ends with its input. */

import { watchFolder } from '../../src/triggers/watch.ts';

const stop = new AbortController();
const tell = (told: object): void => {
  process.stdout.write(`${JSON.stringify(told)}\n`);
};
process.stdin.resume().once('end', () => stop.abort());
const watch = await watchFolder({
  folder: process.argv[2] ?? '',
  blindMs: 100,
  rootCheckMs: 100,
  onPaths: (paths) => tell({ paths: [...paths] }),
  onWhole: (whole) => tell({ whole }),
  onAlarm: (fault) => tell({ alarm: fault?.code ?? 'over', advice: fault?.advice }),
  signal: stop.signal,
});
tell({ ready: watch.folders, engine: watch.engine });
