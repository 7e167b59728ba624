/** Text from outside, made safe for a terminal: no part of it is taken for a command, or read backwards. */

export { printable as clean } from '../sync/names.ts';
