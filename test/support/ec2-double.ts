/**
 * A double of the parts of AWS that lead to an instance without a road: EC2's Query API (DescribeInstances,
 * DescribeInstanceConnectEndpoints), EC2 Instance Connect (SendSSHPublicKey, into an authorized_keys file, for a time),
 * and an EC2 Instance Connect Endpoint that takes signed websockets over TLS and really connects.
 */

import { once } from 'node:events';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import { createServer, type Server } from 'node:https';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Certificates } from './certificates.ts';
import { type Keys, verify } from './sigv4.ts';

export const INSTANCE = 'i-0123456789abcdef0';
export const ENDPOINT = 'eice-0123456789abcdef0';
const REGION = 'ap-northeast-1';
/** As real ones. */
const MOST_TUNNELS = 20;
const MOST_FRAME_BYTES = 65_000;

export interface Ec2Trouble {
  /** What the APIs answer instead. */
  readonly api?: { readonly status: number; readonly code: string; readonly message: string };
  /** What a websocket gets instead of a tunnel. */
  readonly tunnel?: { readonly status: number; readonly body: string };
  /** The endpoint may not reach the instance: the websocket opens, and closes. */
  readonly noRoute?: boolean;
  /** Tunnels reach their longest duration once they have carried so many bytes to the instance; so many of them. */
  readonly expire?: { readonly afterBytes: number; readonly times: number };
}

export interface Ec2Double extends AsyncDisposable {
  readonly region: string;
  /** What a process needs in its environment to take this for AWS. */
  readonly env: Readonly<Record<string, string>>;
  /** Host and port of the endpoint, as `dnsName`. */
  readonly dnsName: string;
  readonly port: number;
  trouble: Ec2Trouble;
  /** Requests that were let in, as `DescribeInstances` or `openTunnel i-…`; refused ones as `!CODE`. */
  readonly asked: string[];
  readonly tunnels: number;
  /** Credentials with a session token that has expired. */
  readonly expired: Readonly<Record<string, string>>;
  /** Takes credentials away, or gives them back. */
  allow(id: string, yes: boolean): void;
  /** Closes every tunnel as when it has reached its longest duration. */
  expireTunnels(): void;
}

export interface Ec2Options {
  readonly certificates: Certificates;
  /** Where SendSSHPublicKey installs keys. */
  readonly authorizedKeys?: string;
  /** Default 60 s, as the service. */
  readonly keyLivesMs?: number;
}

const GOOD: Keys = { secretAccessKey: 'secret/of+a=test/0123456789', sessionToken: 'token of+a/test==' };
const IDS = { good: 'ASIAGOODGOODGOODGOOD', expired: 'ASIAEXPIREDEXPIRED00' } as const;

export async function startEc2Double(options: Ec2Options): Promise<Ec2Double> {
  const certificate = await options.certificates.server('good');
  const keys = new Map<string, Keys>([
    [IDS.good, GOOD],
    [IDS.expired, GOOD],
  ]);
  const asked: string[] = [];
  const tunnels = new Set<{ readonly ws: WebSocket; readonly socket: Socket }>();
  let trouble: Ec2Trouble = {};
  let dnsName = '';

  const judge = (request: IncomingMessage, body: string, service: string) => {
    const { method = '', url = '', headers } = request;
    const verdict = verify(
      { method, target: url, headers, body },
      { service, region: REGION, keys, now: Date.now() },
    );
    if ('id' in verdict && verdict.id === IDS.expired) return { code: 'ExpiredToken' };
    return verdict;
  };

  const tls: Server = createServer({ cert: certificate.cert, key: certificate.key });
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MOST_FRAME_BYTES });
  tls.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const query = new URL(request.url ?? '', 'http://host').searchParams;
    const refuse = (status: number, body: string): void => {
      asked.push(`!${status}`);
      socket.end(
        `HTTP/1.1 ${status} No\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
      );
    };
    const said = (code: string, message: string): string =>
      JSON.stringify({ ErrorCode: code, Message: message, RequestId: '0' });
    const verdict = judge(request, '', 'ec2-instance-connect');
    if (trouble.tunnel !== undefined) return refuse(trouble.tunnel.status, trouble.tunnel.body);
    if ('code' in verdict)
      return refuse(403, said(verdict.code, 'The security token included in the request is not valid'));
    if (!request.url?.startsWith('/openTunnel?')) return refuse(404, said('NotFound', 'no such path'));
    if (query.get('instanceConnectEndpointId') !== ENDPOINT)
      return refuse(400, said('InvalidParameter', 'The specified InstanceConnectEndpointId is not valid'));
    if (tunnels.size >= MOST_TUNNELS)
      return refuse(429, said('TooManyRequests', 'Too many tunnels are open'));
    sockets.handleUpgrade(request, socket, head, (ws) => {
      const lasts = Number(query.get('maxTunnelDuration') ?? 3600);
      asked.push(`openTunnel ${query.get('privateIpAddress')}:${query.get('remotePort')} ${lasts}`);
      const target = connect({
        host: query.get('privateIpAddress') ?? '',
        port: Number(query.get('remotePort')),
      });
      const { expire } = trouble;
      if (expire !== undefined) trouble = { ...trouble, expire: { ...expire, times: expire.times - 1 } };
      const manner = { lastsSeconds: lasts, noRoute: trouble.noRoute === true, expire };
      carry(ws, target, manner, tunnels);
    });
  });

  const api = createHttpServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    const isQuery = /form-urlencoded/.test(request.headers['content-type'] ?? '');
    const verdict = judge(request, body, isQuery ? 'ec2' : 'ec2-instance-connect');
    const refused =
      trouble.api ?? ('code' in verdict ? { status: 400, code: verdict.code, message: 'no' } : undefined);
    const answer = (status: number, type: string, text: string): void => {
      response.writeHead(status, { 'content-type': type }).end(text);
    };
    if (refused !== undefined) {
      asked.push(`!${refused.code}`);
      if (isQuery) answer(refused.status, 'text/xml', failure(refused.code, refused.message));
      else
        answer(
          refused.status,
          'application/x-amz-json-1.1',
          JSON.stringify({ __type: refused.code, message: refused.message }),
        );
      return;
    }
    if (isQuery) {
      const query = new URLSearchParams(body);
      asked.push(query.get('Action') ?? '');
      const [status, text] = describe(query, dnsName);
      return answer(status, 'text/xml', text);
    }
    const { InstanceId, InstanceOSUser, SSHPublicKey } = JSON.parse(body);
    asked.push(`${String(request.headers['x-amz-target']).split('.')[1]} ${InstanceOSUser}`);
    if (InstanceId !== INSTANCE) {
      const unknown = { __type: 'EC2InstanceNotFoundException', message: 'The instance was not found' };
      return answer(400, 'application/x-amz-json-1.1', JSON.stringify(unknown));
    }
    await install(String(SSHPublicKey), options);
    answer(200, 'application/x-amz-json-1.1', JSON.stringify({ RequestId: '0', Success: true }));
  });

  for (const server of [tls, api]) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }
  const port = portOf(tls);
  dnsName = `localhost:${port}`;
  const url = `http://127.0.0.1:${portOf(api)}`;
  // This process trusts the authority too.
  const before = getCACertificates('default');
  setDefaultCACertificates([...before, await readFile(options.certificates.caFile, 'utf8')]);
  const credentials = (id: string) => ({
    AWS_ACCESS_KEY_ID: id,
    AWS_SECRET_ACCESS_KEY: GOOD.secretAccessKey,
    AWS_SESSION_TOKEN: GOOD.sessionToken ?? '',
  });
  return {
    region: REGION,
    env: {
      ...credentials(IDS.good),
      AWS_REGION: REGION,
      AWS_ENDPOINT_URL_EC2: url,
      AWS_ENDPOINT_URL_EC2_INSTANCE_CONNECT: url,
      AWS_EC2_METADATA_DISABLED: 'true',
      NODE_EXTRA_CA_CERTS: options.certificates.caFile,
    },
    dnsName,
    port,
    get trouble() {
      return trouble;
    },
    set trouble(next) {
      trouble = next;
    },
    asked,
    get tunnels() {
      return tunnels.size;
    },
    expired: credentials(IDS.expired),
    allow: (id, yes) => void (yes ? keys.set(id, GOOD) : keys.delete(id)),
    expireTunnels: () => {
      for (const { ws } of tunnels) expire(ws);
    },
    [Symbol.asyncDispose]: async () => {
      setDefaultCACertificates(before);
      for (const { ws } of tunnels) ws.terminate();
      for (const server of [tls, api]) {
        server.close();
        server.closeAllConnections();
        await once(server, 'close');
      }
    },
  };
}

function portOf(server: { address(): unknown }): number {
  const address = server.address();
  if (typeof address !== 'object' || address === null || !('port' in address))
    throw new Error('no port was given');
  return Number(address.port);
}

interface Manner {
  readonly lastsSeconds: number;
  readonly noRoute: boolean;
  readonly expire: Ec2Trouble['expire'];
}

function expire(ws: WebSocket): void {
  ws.close(1000, 'The tunnel has reached its longest duration');
}

function carry(
  ws: WebSocket,
  target: Socket,
  { lastsSeconds, noRoute, expire: after }: Manner,
  tunnels: Set<{ readonly ws: WebSocket; readonly socket: Socket }>,
): void {
  const tunnel = { ws, socket: target };
  tunnels.add(tunnel);
  const timer = after === undefined ? setTimeout(expire, lastsSeconds * 1000, ws) : undefined;
  let carried = 0;
  const end = (): void => {
    clearTimeout(timer);
    tunnels.delete(tunnel);
    target.destroy();
  };
  ws.on('close', end).on('error', end);
  if (noRoute) {
    ws.close(1001, '');
    return;
  }
  ws.on('message', (data: Buffer) => {
    if (!target.write(data)) ws.pause();
    carried += data.length;
    if (after !== undefined && after.times > 0 && carried >= after.afterBytes) expire(ws);
  });
  target.on('drain', () => ws.resume());
  target.on('data', (bytes: Buffer) => {
    target.pause();
    ws.send(bytes, { binary: true }, () => target.resume());
  });
  target.on('end', () => ws.close(1000));
  target.on('error', () => ws.close(1011, 'Connection to the instance failed'));
}

function describe(query: URLSearchParams, dnsName: string): readonly [status: number, xml: string] {
  if (query.get('Version') !== '2016-11-15') return [400, failure('InvalidAction', 'no such version')];
  if (query.get('Action') === 'DescribeInstances') {
    const id = query.get('InstanceId.1') ?? '';
    if (id !== INSTANCE)
      return [400, failure('InvalidInstanceID.NotFound', `The instance ID '${id}' does not exist`)];
    const other =
      '<networkInterfaceSet><item><privateIpAddress>192.0.2.9</privateIpAddress></item></networkInterfaceSet>';
    const state = '<instanceState><code>16</code><name>running</name></instanceState>';
    const item = `<item><instanceId>${id}</instanceId>${state}<privateIpAddress>127.0.0.1</privateIpAddress>${other}</item>`;
    const set = `<reservationSet><item><instancesSet>${item}</instancesSet></item></reservationSet>`;
    return [
      200,
      `<?xml version="1.0"?><DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">${set}</DescribeInstancesResponse>`,
    ];
  }
  const id = query.get('InstanceConnectEndpointId.1') ?? '';
  if (id !== ENDPOINT)
    return [400, failure('InvalidInstanceConnectEndpointId.NotFound', `The endpoint '${id}' does not exist`)];
  const item = `<item><instanceConnectEndpointId>${id}</instanceConnectEndpointId><state>create-complete</state><dnsName>${dnsName}</dnsName></item>`;
  return [
    200,
    `<?xml version="1.0"?><DescribeInstanceConnectEndpointsResponse><instanceConnectEndpointSet>${item}</instanceConnectEndpointSet></DescribeInstanceConnectEndpointsResponse>`,
  ];
}

function failure(code: string, message: string): string {
  return `<?xml version="1.0"?><Response><Errors><Error><Code>${code}</Code><Message>${message}</Message></Error></Errors><RequestID>0</RequestID></Response>`;
}

async function install(key: string, { authorizedKeys, keyLivesMs = 60_000 }: Ec2Options): Promise<void> {
  if (authorizedKeys === undefined) return;
  const line = `${key.trim()}\n`;
  await appendFile(authorizedKeys, line);
  setTimeout(() => {
    void readFile(authorizedKeys, 'utf8').then(
      (text) => writeFile(authorizedKeys, text.replace(line, '')),
      () => undefined,
    );
  }, keyLivesMs).unref();
}
