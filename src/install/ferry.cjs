#!/usr/bin/env node
/**
 * The installed `ferry` command, whatever Node the system starts it with: it loads main.js, or has the Node
 * that npm brought along do so. As `node --require` it goes before main.ts in npm's scripts, and says that
 * this Node is too old where main.ts would end in a syntax error. Plain JavaScript, so that any Node can read it.
 *
 * It also turns on Node's compile cache before the first module is read, which halves the time to start. The
 * cache is kept with the package, since whoever can write it can have his code run: not in a shared /tmp.
 *
 * And once the heap is large, it has V8 collect garbage before it has grown by more than 60 %: by itself V8 lets it
 * grow fourfold on a machine with memory to spare. With 100,000 files owed that takes a fifth off. A small heap is left
 * alone, since this costs a twentieth of processor time.
 */
'use strict';

const { spawn } = require('node:child_process');
const { enableCompileCache } = require('node:module');
const { join } = require('node:path');
const { getHeapStatistics, setFlagsFromString } = require('node:v8');
const { bundledNode, newEnough, tooOld } = require('./node-24.cjs');

/** Bytes in use, some of them garbage. */
const LARGE_HEAP = 40e6;
const LOOK_EVERY_MS = 500;

if (newEnough) keepHeapSmall();
if (newEnough) enableCompileCache(join(__dirname, '..', '..', 'node_modules', '.cache', 'ferry'));
if (require.main === module) runInstalled();
else if (!newEnough) refuse();

function keepHeapSmall() {
  const timer = setInterval(() => {
    if (getHeapStatistics().used_heap_size < LARGE_HEAP) return;
    setFlagsFromString('--heap-growing-percent=60');
    clearInterval(timer);
  }, LOOK_EVERY_MS);
  timer.unref();
}

function runInstalled() {
  if (newEnough) {
    import('../../dist/cli/main.js');
    return;
  }
  const node = bundledNode();
  if (node === undefined) refuse();
  const child = spawn(node, [__filename, ...process.argv.slice(2)], { stdio: 'inherit' });
  // A terminal sends these to both of us.
  for (const signal of ['SIGINT', 'SIGHUP', 'SIGQUIT']) process.on(signal, () => {});
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

function refuse() {
  console.error(tooOld);
  process.exit(2);
}
