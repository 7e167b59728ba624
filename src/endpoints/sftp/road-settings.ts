/** The settings that say by which road a server is reached, and which of them exclude each other. */

import { isIP } from 'node:net';
import { z } from 'zod';
import type { Values } from '../../config/values.ts';
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

const region = z
  .string()
  .regex(/^[a-z0-9-]+$/, 'a region is written as ap-northeast-1')
  .optional()
  .describe("Default: AWS_REGION or the profile's");
const profile = z.string().min(1).optional().describe('A profile of ~/.aws/config; default: AWS_PROFILE');
const instance = z.string().regex(/^i-[0-9a-f]{8,17}$/, 'an instance is written as i-0123456789abcdef0');

const eice = (values: Values) =>
  z.strictObject({
    instance: instance.describe('The instance to reach: i-…'),
    endpoint: z
      .string()
      .regex(/^eice-[0-9a-f]{8,17}$/, 'an EC2 Instance Connect Endpoint is written as eice-0123456789abcdef0')
      .describe('The EC2 Instance Connect Endpoint in its VPC: eice-…'),
    region,
    profile,
    address: z
      .string()
      .refine((text) => isIP(text) !== 0, 'must be an IP address')
      .optional()
      .describe("The instance's private address; default: asked for (ec2:DescribeInstances)"),
    dnsName: z
      .string()
      .regex(
        /^[a-zA-Z0-9.-]+(:\d+)?$/,
        'must be a name, such as eice-0123….ec2-instance-connect-endpoint.….amazonaws.com',
      )
      .optional()
      .describe("The endpoint's own name; default: asked for (ec2:DescribeInstanceConnectEndpoints)"),
    maxDuration: values.duration
      .refine((ms) => ms >= 1_000 && ms <= 3_600_000, 'a tunnel lives between 1s and 1h')
      .optional()
      .describe('End a tunnel after so long; default 1h, the longest that there is'),
  });

export const freshKeySettings = z.strictObject({
  instance: instance.optional().describe('Where to install it: i-…; default: that of road'),
  osUser: z.string().min(1).max(32).optional().describe('For whom; default: user'),
  region,
  profile,
});

export const roadSettings = (values: Values) => ({
  addressFamily: z
    .enum(['any', 'inet', 'inet6'])
    .optional()
    .describe('inet: IPv4 only; inet6: IPv6 only; default: any'),
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
  road: z
    .strictObject({ eice: eice(values) })
    .optional()
    .describe('A tunnel of AWS, opened without the AWS CLI: through an EC2 Instance Connect Endpoint'),
});

type Given = Readonly<{ [Key in keyof ReturnType<typeof roadSettings>]?: unknown }>;

/** Ways to get there of which one is enough. */
const ROADS = ['via', 'proxyCommand', 'road', 'proxy'] as const;
/** What only a TCP connection of our own has, and the roads that begin with none. */
const NOT_OURS: Readonly<Record<'addressFamily' | 'bindAddress' | 'proxyProtocol', readonly string[]>> = {
  addressFamily: ['via', 'proxyCommand'],
  bindAddress: ['via', 'proxyCommand'],
  proxyProtocol: ROADS,
};

export function roadProblems(settings: Given, problem: (path: string, message: string) => void): void {
  const [first, ...more] = ROADS.filter((road) => [settings[road] ?? []].flat().length > 0);
  for (const road of more) {
    if (first === 'road' && road === 'proxy') continue; // through the proxy to the endpoint
    const remedy = first === 'via' ? `; ${road} in front of jump hosts belongs to the first of them` : '';
    problem(road, `${first} and ${road} exclude each other${remedy}`);
  }
  if (first === undefined) return;
  for (const key of ['addressFamily', 'bindAddress', 'proxyProtocol'] as const) {
    if (settings[key] === undefined || !NOT_OURS[key].includes(first)) continue;
    const remedy = first === 'via' ? '; it belongs to the first of the jump hosts' : '';
    problem(key, `${key} has no effect with ${first}, which connects by itself${remedy}`);
  }
}
