/** What a tunnel needs to know of an instance and of an endpoint, by EC2's Query API (version 2016-11-15). */

import { throwIfAborted } from '../../sync/errors.ts';
import type { Aws } from './client.ts';
import { awsFault } from './faults.ts';

const VERSION = '2016-11-15';

/** The private address of an instance: IPv4 where it has one, as the AWS CLI takes it. @throws Fault */
export async function privateAddressOf(aws: Aws, instance: string, signal: AbortSignal): Promise<string> {
  const doing = { doing: `look up the instance ${instance}`, action: 'ec2:DescribeInstances' };
  const xml = await ask(aws, { Action: 'DescribeInstances', 'InstanceId.1': instance }, doing, signal);
  // The instance's own address; further down follow those of its network interfaces.
  const own = xml.split('<networkInterfaceSet')[0] ?? '';
  const address = textOf(own, 'privateIpAddress') ?? textOf(own, 'ipv6Address');
  if (address !== undefined) return address;
  const state = textOf(own, 'name');
  const message =
    state === undefined ? 'there is no such instance' : `it is ${state} and has no private address`;
  throw awsFault({ code: 'InvalidInstanceID.NotFound', message }, doing);
}

/** The name under which an endpoint takes tunnels. @throws Fault */
export async function endpointNameOf(aws: Aws, endpoint: string, signal: AbortSignal): Promise<string> {
  const doing = { doing: `look up the endpoint ${endpoint}`, action: 'ec2:DescribeInstanceConnectEndpoints' };
  const asked = { Action: 'DescribeInstanceConnectEndpoints', 'InstanceConnectEndpointId.1': endpoint };
  const xml = await ask(aws, asked, doing, signal);
  const state = textOf(xml, 'state');
  const name = textOf(xml, 'dnsName');
  if (name !== undefined && /^(create-complete|update-)/.test(state ?? '')) return name;
  const message = state === undefined ? 'there is no such endpoint' : `its state is ${state}`;
  throw awsFault({ code: 'InvalidInstanceConnectEndpointId.NotFound', message }, doing);
}

interface Asked {
  readonly doing: string;
  readonly action: string;
}

async function ask(
  aws: Aws,
  query: Readonly<Record<string, string>>,
  doing: Asked,
  signal: AbortSignal,
): Promise<string> {
  try {
    const { hostname, host, protocol, port, pathname } = new URL(aws.ec2Url);
    const body = new URLSearchParams({ ...query, Version: VERSION }).toString();
    const signed = await aws.signer('ec2').sign({
      method: 'POST',
      protocol,
      hostname,
      ...(port === '' ? {} : { port: Number(port) }),
      path: pathname,
      headers: { host, 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
      body,
    });
    const { status, text } = await aws.send(signed, signal);
    if (status === 200) return text;
    const said = {
      code: textOf(text, 'Code') ?? '',
      message: textOf(text, 'Message') ?? `HTTP ${status}`,
      status,
    };
    throw awsFault(said, doing);
  } catch (error) {
    throwIfAborted(signal);
    throw awsFault(error, doing);
  }
}

/** The text of the first such element; EC2's XML has no namespaces, attributes or CDATA where this looks. */
function textOf(xml: string, element: string): string | undefined {
  const text = new RegExp(`<${element}>([^<]*)</${element}>`).exec(xml)?.[1];
  return text === undefined || text === ''
    ? undefined
    : text.replaceAll('&quot;', '"').replaceAll('&amp;', '&');
}
