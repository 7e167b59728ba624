/** The settings that say by which road a server is reached, and which of them exclude each other. */

import { z } from 'zod';
import { parseProxy } from '../../roads/proxy-address.ts';
import { wordsOf } from '../../roads/words.ts';
import { oneOrMore } from './values.ts';

const proxy = z.string().transform((text, context) => {
  const found = parseProxy(text);
  if (typeof found !== 'string') return found;
  context.addIssue({ code: 'custom', message: found });
  return z.NEVER;
});

const proxyCommand = z
  .union([
    z.string(),
    z.array(z.string()).min(1),
    z.strictObject({ shell: z.string().min(1).describe('Run by /bin/sh -c') }),
  ])
  .transform((command, context) => {
    const found = typeof command === 'string' ? wordsOf(command) : command;
    if (typeof found !== 'string') return found;
    const message = `it is started without a shell, and ${found}: quote it, or write { shell: "…" }`;
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  });

export const roadSettings = {
  bindAddress: z.string().min(1).optional().describe('Local address to connect from'),
  via: oneOrMore(z.string().min(1)).default([]).describe('Jump hosts, outermost first: other sftp endpoints'),
  proxyCommand: proxyCommand
    .optional()
    .describe('%h %p %r as in ssh_config; started without a shell, unless written as { shell: "…" }'),
  proxy: proxy
    .optional()
    .describe('socks5://user:password@host:1080 or http://user:password@host:3128; it resolves the name'),
  proxyProtocol: z
    .enum(['v1', 'v2'])
    .optional()
    .describe('Begin with the header that a load balancer or TCP proxy with the PROXY protocol insists on'),
};

const given = z.object(roadSettings);
type Given = z.output<typeof given>;

/** Ways to get there of which one is enough. */
const ROADS = ['via', 'proxyCommand', 'proxy'] as const;
/** What only a TCP connection of our own has, and the roads that begin with none. */
const NOT_OURS: Readonly<Record<'bindAddress' | 'proxyProtocol', readonly string[]>> = {
  bindAddress: ['via', 'proxyCommand'],
  proxyProtocol: ROADS,
};

export function roadProblems(settings: Given, problem: (path: string, message: string) => void): void {
  const [first, ...more] = ROADS.filter((road) => [settings[road] ?? []].flat().length > 0);
  for (const road of more) {
    const remedy = first === 'via' ? `; ${road} in front of jump hosts belongs to the first of them` : '';
    problem(road, `${first} and ${road} exclude each other${remedy}`);
  }
  if (first === undefined) return;
  for (const key of ['bindAddress', 'proxyProtocol'] as const) {
    if (settings[key] === undefined || !NOT_OURS[key].includes(first)) continue;
    const remedy = first === 'via' ? '; it belongs to the first of the jump hosts' : '';
    problem(key, `${key} has no effect with ${first}, which connects by itself${remedy}`);
  }
}
