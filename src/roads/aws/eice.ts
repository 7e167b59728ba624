/**
 * The road through an EC2 Instance Connect Endpoint: a websocket whose URL is signed (SigV4 in the query), as
 * `aws ec2-instance-connect open-tunnel` opens it, and in it the bytes of one TCP connection to the instance's private
 * address. Needs the IAM actions ec2-instance-connect:OpenTunnel, ec2:DescribeInstances and
 * ec2:DescribeInstanceConnectEndpoints (the last two not where the settings name the address and the DNS name).
 */

import type { Duplex } from 'node:stream';
import { Fault, throwIfAborted } from '../../sync/errors.ts';
import { abortFault, type Passed, type Road, unlessAborted } from '../road.ts';
import { type Aws, type AwsSettings, type Env, openAws } from './client.ts';
import { endpointNameOf, privateAddressOf } from './ec2.ts';
import { awsFault } from './faults.ts';
import { tunnelOver } from './websocket.ts';

export interface EiceSettings extends AwsSettings {
  /** `i-…` */
  readonly instance: string;
  /** `eice-…` */
  readonly endpoint: string;
  /** The instance's private address; default: asked for. */
  readonly address?: string | undefined;
  /** Under which the endpoint takes tunnels, with a port where that is not 443; default: asked for. */
  readonly dnsName?: string | undefined;
  /** After which the endpoint ends a tunnel; default an hour, the longest that there is. */
  readonly maxDuration?: number | undefined;
}

export interface EiceOptions {
  readonly settings: EiceSettings;
  readonly port: number;
  readonly env: Env;
  /** The TCP connection to the endpoint. */
  road(host: string, port: number): Road;
}

/** Signatures live so long: enough for a connect. */
const VALID_SECONDS = 60;
const LONGEST_MS = 3_600_000;

export function eiceRoad(options: EiceOptions): Road {
  const { instance, endpoint } = options.settings;
  /** What was found out, until a tunnel does not open. */
  let known: Place | undefined;
  return {
    description: `${instance} through the EC2 Instance Connect Endpoint ${endpoint}`,
    open: async (signal, passed) => {
      throwIfAborted(signal);
      using aws = await unlessAborted(openAws(options.settings, options.env), signal);
      try {
        const place = known ?? (await lookUp(aws, options.settings, signal));
        passed?.('aws', `${instance} is ${place.address}, ${endpoint} is ${place.dnsName}`);
        const tunnel = await openTunnel(aws, place, options, signal, passed);
        known = place;
        return tunnel;
      } catch (error) {
        known = undefined;
        if (signal.aborted) throw abortFault(signal);
        throw error;
      }
    },
  };
}

interface Place {
  readonly address: string;
  readonly dnsName: string;
}

async function lookUp(aws: Aws, settings: EiceSettings, signal: AbortSignal): Promise<Place> {
  const { instance, endpoint } = settings;
  const [address, dnsName] = await Promise.all([
    settings.address ?? privateAddressOf(aws, instance, signal),
    settings.dnsName ?? endpointNameOf(aws, endpoint, signal),
  ]);
  return { address, dnsName };
}

async function openTunnel(
  aws: Aws,
  { address, dnsName }: Place,
  options: EiceOptions,
  signal: AbortSignal,
  passed?: Passed,
): Promise<Duplex> {
  const { settings, port } = options;
  const { endpoint, instance, maxDuration } = settings;
  const { hostname, port: digits } = new URL(`https://${dnsName}`);
  const query = {
    instanceConnectEndpointId: endpoint,
    remotePort: `${port}`,
    privateIpAddress: address,
    ...(maxDuration === undefined ? {} : { maxTunnelDuration: `${Math.round(maxDuration / 1000)}` }),
  };
  const path = await signedPath(aws, dnsName, query);
  const socket = await toEndpoint(
    options.road(hostname, digits === '' ? 443 : Number(digits)),
    endpoint,
    signal,
    passed,
  );
  const name = `the tunnel to ${instance} through ${endpoint}`;
  const tunnel = await tunnelOver(socket, {
    url: `wss://${dnsName}${path}`,
    servername: hostname,
    name,
    endpoint,
    instance,
    longestMs: maxDuration ?? LONGEST_MS,
    signal,
  });
  passed?.('aws tunnel', `${endpoint} opened it to ${address}`);
  return tunnel;
}

async function signedPath(aws: Aws, host: string, query: Record<string, string>): Promise<string> {
  try {
    const request = {
      method: 'GET',
      protocol: 'https:',
      hostname: host,
      path: '/openTunnel',
      headers: { host },
      query,
    };
    const signed = await aws.signer('ec2-instance-connect').presign(request, { expiresIn: VALID_SECONDS });
    const pairs = Object.entries(signed.query ?? {}).map(([key, value]) => [key, String(value)]);
    // As the signature was computed: spaces as %20, and everything escaped that may be.
    const encoded = pairs.map((pair) => pair.map((text) => encodeURIComponent(text)).join('='));
    return `/openTunnel?${encoded.join('&')}`;
  } catch (error) {
    throw awsFault(error, { doing: 'sign the request for a tunnel' });
  }
}

async function toEndpoint(
  road: Road,
  endpoint: string,
  signal: AbortSignal,
  passed?: Passed,
): Promise<Duplex> {
  try {
    const ofProxy: Passed = (step, saw) => {
      if (step !== 'name' && step !== 'tcp') passed?.(step, saw);
    };
    return await road.open(signal, ofProxy);
  } catch (error) {
    if (!(error instanceof Fault) || error.kind === 'aborted' || /^PROXY_/.test(error.code ?? ''))
      throw error;
    throw new Fault(error.kind, `the endpoint ${endpoint} cannot be reached: ${error.message}`, {
      code: 'TUNNEL_CONNECT',
      cause: error,
      advice:
        'This host must reach it on port 443 (HTTPS): look at the firewall; through a proxy, set `proxy`.',
    });
  }
}
