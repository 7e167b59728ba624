/**
 * The SDK as the AWS roads use it: its own region, credentials and retries, and signatures for the two requests that it
 * has no client for (the websocket of a tunnel, and EC2's Query API: its client has 27 MB for two of 700 calls). The SDK
 * is loaded here, on first use.
 */

import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type {
  EC2InstanceConnect,
  EC2InstanceConnectClientConfig,
} from '@aws-sdk/client-ec2-instance-connect';
import type { SignatureV4 } from '@smithy/signature-v4';
import { awsFault } from './faults.ts';

export interface AwsSettings {
  readonly region?: string | undefined;
  readonly profile?: string | undefined;
}

type HttpRequest = Parameters<EC2InstanceConnect['config']['requestHandler']['handle']>[0];

export interface Aws extends Disposable {
  readonly connect: EC2InstanceConnect;
  readonly region: string;
  /** The service's own address, such as `https://ec2.ap-northeast-1.amazonaws.com`. */
  readonly ec2Url: string;
  signer(service: 'ec2' | 'ec2-instance-connect'): SignatureV4;
  /** Asks a service; the answer whole, whatever its status. */
  send(
    request: HttpRequest,
    signal: AbortSignal,
  ): Promise<{ readonly status: number; readonly text: string }>;
}

export type Env = Readonly<Record<string, string | undefined>>;

const CONNECT_MS = 5_000;
const ANSWER_MS = 10_000;
const SERVICE = 'ec2-instance-connect';

/** @throws Fault when there is no region */
export async function openAws({ region, profile }: AwsSettings, env: Env): Promise<Aws> {
  const [sdk, signing] = await Promise.all([
    import('@aws-sdk/client-ec2-instance-connect'),
    import('@smithy/signature-v4'),
  ]);
  // The credential providers would keep ~/.aws/credentials for ever as they first read it.
  const fresh: object = { ignoreCache: true };
  // Node reads HTTPS_PROXY and NO_PROXY for agents that are told to.
  const agent = { keepAlive: true, proxyEnv: { ...env } };
  const handler = {
    httpAgent: new HttpAgent(agent),
    httpsAgent: new HttpsAgent(agent),
    connectionTimeout: CONNECT_MS,
    requestTimeout: ANSWER_MS,
    throwOnRequestTimeout: true,
    socketAcquisitionWarningTimeout: 2 ** 31 - 1,
  };
  const config: EC2InstanceConnectClientConfig = {
    ...fresh,
    ...(region === undefined ? {} : { region }),
    ...(profile === undefined ? {} : { profile }),
    maxAttempts: 2,
    requestHandler: handler,
  };
  const connect = new sdk.EC2InstanceConnect(config);
  const close = (): void => {
    connect.destroy();
    handler.httpAgent.destroy();
    handler.httpsAgent.destroy();
  };
  try {
    const found = await connect.config.region();
    return {
      connect,
      region: found,
      ec2Url: env.AWS_ENDPOINT_URL_EC2 ?? env.AWS_ENDPOINT_URL ?? (await ec2UrlOf(connect, found)),
      signer: (service) => {
        const { credentials, sha256 } = connect.config;
        return new signing.SignatureV4({ service, region: found, credentials, sha256 });
      },
      send: async (request, abortSignal) => {
        const { response } = await connect.config.requestHandler.handle(request, { abortSignal });
        const chunks: readonly Buffer[] = await Array.fromAsync(response.body);
        return { status: response.statusCode, text: Buffer.concat(chunks).toString('utf8') };
      },
      [Symbol.dispose]: close,
    };
  } catch (error) {
    close();
    throw awsFault(error, { doing: 'find the region' });
  }
}

/** EC2 is beside EC2 Instance Connect in every partition. */
async function ec2UrlOf({ config }: EC2InstanceConnect, region: string): Promise<string> {
  const { url } = config.endpointProvider({
    Region: region,
    UseFIPS: await config.useFipsEndpoint(),
    UseDualStack: await config.useDualstackEndpoint(),
  });
  return `https://${url.hostname.replace(SERVICE, 'ec2')}`;
}
