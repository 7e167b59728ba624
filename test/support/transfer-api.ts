/**
 * A double of AWS Transfer Family's API for SFTP connectors, over node:http: AWS JSON 1.1 with the service model's
 * shapes, limits, error names and throttling, signatures verified. It really moves the files, from the S3 server of the
 * test to its OpenSSH server and back, asynchronously, and can be told to fail. The SDK reaches it by
 * AWS_ENDPOINT_URL_TRANSFER, as it would reach AWS. There is one connector.
 *
 * https://docs.aws.amazon.com/transfer/latest/APIReference/Welcome.html
 */

import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { S3 } from '@aws-sdk/client-s3';
import type { DescribedConnector } from '@aws-sdk/client-transfer';
import type { S3User } from './s3-server.ts';
import type { Sshd } from './sshd.ts';
import { type Action, type Input, isAction, objectOf, parseRequest } from './transfer-api/model.ts';
import { Partner, UntrustedKey } from './transfer-api/partner.ts';
import { Refusal, throttled } from './transfer-api/refusal.ts';
import { verifySignature } from './transfer-api/signature.ts';
import { type Fate, type FileRecord, Work } from './transfer-api/work.ts';

export { Refusal, throttled } from './transfer-api/refusal.ts';

export interface ApiCall {
  readonly action: Action;
  readonly input: Readonly<Record<string, unknown>>;
  readonly atMs: number;
}

export type ApiFault =
  | { readonly refuse: Refusal }
  /** It is done, and the connection is cut instead of an answer. */
  | { readonly loseAnswer: true }
  /** The connection is cut, and nothing is done. */
  | { readonly cut: true };

export interface TransferApi extends AsyncDisposable {
  readonly url: string;
  readonly region: string;
  readonly user: S3User;
  readonly connectorId: string;
  /** What DescribeConnector shows; tests change it. */
  connector: DescribedConnector;
  /** Every call that was signed well, oldest first. */
  readonly calls: readonly ApiCall[];
  callsOf<A extends Action>(action: A): readonly Input<A>[];
  /** The files of every transfer that was accepted. */
  readonly files: readonly FileRecord[];
  /** What was really done, in order. */
  readonly done: readonly string[];
  /** The next `times` calls of that action meet this. */
  fail(action: Action, fault: ApiFault, times?: number): void;
  /** Decides about files whose name fits, until `recover`. */
  fate(name: RegExp, fate: Fate, times?: number): void;
  recover(): void;
  /** IAM actions that are denied: `transfer:StartFileTransfer`. */
  readonly denied: Set<string>;
  /** Transfers are accepted and wait. */
  hold(): void;
  release(): void;
  /** As after seven days. */
  forgetResults(): void;
  /** How far its clock is ahead. */
  clockMs: number;
  /** Files that may wait; then there is throttling. */
  queueLimit: number;
}

export interface TransferApiOptions {
  readonly s3: { readonly url: string; readonly user: S3User; readonly region: string };
  readonly server: Sshd;
  readonly connector?: Partial<DescribedConnector>;
  /** Calls a second that it takes; default as AWS says. */
  readonly rates?: Partial<Record<Action, number>>;
}

/** Calls a second, where AWS says so. */
const RATES: Partial<Record<Action, number>> = { TestConnection: 1, StartDirectoryListing: 3 };
const ACCOUNT = '123456789012';

interface Planned {
  readonly action: Action;
  readonly fault: ApiFault;
  times: number;
}

interface PlannedFate {
  readonly name: RegExp;
  readonly fate: Fate;
  times: number;
}

export async function startTransferApi(options: TransferApiOptions): Promise<TransferApi> {
  const { server, s3: where } = options;
  const { region } = where;
  const connectorId = `c-${randomBytes(9).toString('hex').slice(0, 17)}`;
  const s3 = new S3({
    endpoint: where.url,
    region,
    credentials: where.user,
    forcePathStyle: true,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  const calls: ApiCall[] = [];
  const planned: Planned[] = [];
  const fates: PlannedFate[] = [];
  const denied = new Set<string>();
  const files: FileRecord[] = [];
  let forgotten = 0;
  const state = {
    connector: describe(connectorId, region, server, options.connector ?? {}),
    clockMs: 0,
    queueLimit: 1000,
  };
  const lastMs = new Map<Action, number[]>();
  const work = new Work({
    s3,
    server,
    connector: () => state.connector,
    fateOf: ({ name }) => {
      const found = fates.find((each) => each.times > 0 && each.name.test(name));
      if (found !== undefined) found.times -= 1;
      return found?.fate;
    },
  });

  const answer = async (action: Action, body: string): Promise<object> => {
    const input = parseRequest(action, body);
    if (input.ConnectorId !== connectorId)
      throw new Refusal('ResourceNotFoundException', 'Unknown connector', {
        Resource: input.ConnectorId,
        ResourceType: 'CONNECTOR',
      });
    if (action !== 'DescribeConnector' && state.connector.Status !== 'ACTIVE')
      throw new Refusal('InvalidRequestException', `Connector ${connectorId} is not in ACTIVE state`);
    switch (action) {
      case 'DescribeConnector':
        return { Connector: state.connector };
      case 'TestConnection':
        return await test(connectorId, server, state.connector);
      case 'StartFileTransfer':
        return startTransfer(parseRequest(action, body));
      case 'ListFileTransferResults':
        return listResults(parseRequest(action, body));
      case 'StartRemoteMove': {
        const { SourcePath, TargetPath } = parseRequest(action, body);
        work.add({ is: 'move', from: absolute(SourcePath), to: absolute(TargetPath) });
        return { MoveId: randomUUID() };
      }
      case 'StartRemoteDelete':
        work.add({ is: 'remove', path: absolute(parseRequest(action, body).DeletePath) });
        return { DeleteId: randomUUID() };
      case 'StartDirectoryListing': {
        const { RemoteDirectoryPath, OutputDirectoryPath, MaxItems } = parseRequest(action, body);
        const ListingId = randomUUID();
        const OutputFileName = `${connectorId}-${ListingId}.json`;
        const output = `${OutputDirectoryPath.replace(/\/$/, '')}/${OutputFileName}`;
        objectOf(output);
        work.add({ is: 'list', path: RemoteDirectoryPath, output, most: MaxItems });
        return { ListingId, OutputFileName };
      }
    }
  };

  const startTransfer = (input: Input<'StartFileTransfer'>): object => {
    const { SendFilePaths, RetrieveFilePaths, LocalDirectoryPath, RemoteDirectoryPath } = input;
    if ((SendFilePaths === undefined) === (RetrieveFilePaths === undefined))
      throw new Refusal(
        'InvalidRequestException',
        'Exactly one of SendFilePaths and RetrieveFilePaths is needed',
      );
    if (RetrieveFilePaths !== undefined && LocalDirectoryPath === undefined)
      throw new Refusal('InvalidRequestException', 'LocalDirectoryPath is needed');
    const paths = SendFilePaths ?? RetrieveFilePaths ?? [];
    if (new Set(paths).size < paths.length)
      throw new Refusal('InvalidRequestException', 'Paths must be distinct');
    if (SendFilePaths !== undefined) for (const path of SendFilePaths) objectOf(path);
    if (work.pending + paths.length > state.queueLimit) throw throttled(1);
    const transferId = randomUUID();
    for (const path of paths) {
      const record: FileRecord = {
        transferId,
        path,
        name: path.slice(path.lastIndexOf('/') + 1),
        status: 'QUEUED',
        failureCode: undefined,
        failureMessage: undefined,
      };
      files.push(record);
      work.add(
        SendFilePaths === undefined
          ? { is: 'retrieve', record, folder: LocalDirectoryPath ?? '' }
          : { is: 'send', record, folder: RemoteDirectoryPath },
      );
    }
    return { TransferId: transferId };
  };

  const listResults = ({ TransferId }: Input<'ListFileTransferResults'>): object => {
    const found = files.slice(forgotten).filter(({ transferId }) => transferId === TransferId);
    if (found.length === 0)
      throw new Refusal('ResourceNotFoundException', 'Unknown transfer', {
        Resource: TransferId,
        ResourceType: 'TRANSFER',
      });
    return {
      FileTransferResults: found.map(({ path, status, failureCode, failureMessage }) => ({
        FilePath: path,
        StatusCode: status,
        ...(failureCode === undefined ? {} : { FailureCode: failureCode, FailureMessage: failureMessage }),
      })),
    };
  };

  const limitRate = (action: Action): void => {
    const most = (options.rates ?? RATES)[action];
    if (most === undefined) return;
    const nowMs = Date.now();
    const recent = (lastMs.get(action) ?? []).filter((atMs) => nowMs - atMs < 1000);
    if (recent.length >= most) throw throttled(1);
    lastMs.set(action, [...recent, nowMs]);
  };

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = Buffer.concat(await Array.fromAsync(request));
    const action = String(request.headers['x-amz-target']).replace(/^TransferService\./, '');
    const refuse = (refusal: Refusal): void => {
      response.writeHead(refusal.status, {
        'content-type': 'application/x-amz-json-1.1',
        'x-amzn-errortype': refusal.code,
        'x-amzn-requestid': randomUUID(),
      });
      response.end(refusal.body);
    };
    try {
      if (request.method !== 'POST' || !isAction(action))
        throw new Refusal('UnknownOperationException', 'Unknown operation');
      if (!String(request.headers['content-type']).startsWith('application/x-amz-json-1.1'))
        throw new Refusal('SerializationException', 'Not application/x-amz-json-1.1');
      verifySignature(request.headers, body, {
        ...where.user,
        region,
        nowMs: Date.now() + state.clockMs,
      });
      if (denied.has(`transfer:${action}`))
        throw new Refusal(
          'AccessDeniedException',
          `User: arn:aws:iam::${ACCOUNT}:user/ferry is not authorized to perform: transfer:${action} on resource: arn:aws:transfer:${region}:${ACCOUNT}:connector/${connectorId} because no identity-based policy allows the transfer:${action} action`,
        );
      calls.push({ action, input: JSON.parse(body.toString()), atMs: Date.now() });
      const plan = planned.find((each) => each.action === action && each.times > 0);
      if (plan !== undefined) plan.times -= 1;
      if (plan !== undefined && 'refuse' in plan.fault) throw plan.fault.refuse;
      if (plan !== undefined && 'cut' in plan.fault) {
        request.socket.destroy();
        return;
      }
      limitRate(action);
      const output = JSON.stringify(await answer(action, body.toString()));
      if (plan !== undefined && 'loseAnswer' in plan.fault) {
        request.socket.destroy();
        return;
      }
      response.writeHead(200, {
        'content-type': 'application/x-amz-json-1.1',
        'x-amzn-requestid': randomUUID(),
      });
      response.end(output);
    } catch (error) {
      refuse(error instanceof Refusal ? error : new Refusal('InternalServiceError', String(error), {}, 500));
    }
  };

  const http = createServer((request, response) => void serve(request, response));
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const address = http.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    region,
    user: where.user,
    connectorId,
    get connector() {
      return state.connector;
    },
    set connector(described) {
      state.connector = described;
    },
    get clockMs() {
      return state.clockMs;
    },
    set clockMs(ms) {
      state.clockMs = ms;
    },
    get queueLimit() {
      return state.queueLimit;
    },
    set queueLimit(most) {
      state.queueLimit = most;
    },
    calls,
    callsOf: <A extends Action>(action: A) =>
      calls.filter((call) => call.action === action).map(({ input }) => input as Input<A>),
    files,
    done: work.log,
    fail: (action, fault, times = 1) => void planned.push({ action, fault, times }),
    fate: (name, fate, times = Number.POSITIVE_INFINITY) => void fates.push({ name, fate, times }),
    recover: () => {
      planned.length = 0;
      fates.length = 0;
    },
    denied,
    hold: () => work.hold(),
    release: () => work.release(),
    forgetResults: () => {
      forgotten = files.length;
    },
    [Symbol.asyncDispose]: async () => {
      http.closeAllConnections();
      http.close();
      await work[Symbol.asyncDispose]();
      s3.destroy();
    },
  };
}

/** Moves and deletes name whole paths. */
function absolute(path: string): string {
  if (path.startsWith('/')) return path;
  throw new Refusal('InvalidRequestException', `Path must be absolute: ${path}`);
}

function describe(
  connectorId: string,
  region: string,
  server: Sshd,
  changes: Partial<DescribedConnector>,
): DescribedConnector {
  return {
    Arn: `arn:aws:transfer:${region}:${ACCOUNT}:connector/${connectorId}`,
    ConnectorId: connectorId,
    Url: `sftp://${server.host}:${server.port}`,
    AccessRole: `arn:aws:iam::${ACCOUNT}:role/ferry-connector`,
    SftpConfig: {
      UserSecretId: `arn:aws:secretsmanager:${region}:${ACCOUNT}:secret:aws/transfer/partner-AbCdEf`,
      TrustedHostKeys: server.hostKeys.map(({ type, key }) => `${type} ${key}`),
      MaxConcurrentConnections: 5,
    },
    ServiceManagedEgressIpAddresses: ['192.0.2.10', '192.0.2.11', '192.0.2.12'],
    SecurityPolicyName: 'TransferSFTPConnectorSecurityPolicy-2024-03',
    EgressType: 'SERVICE_MANAGED',
    Status: 'ACTIVE',
    IpAddressType: 'IPV4',
    ...changes,
  };
}

/** The verdict is data, also when it is bad. */
async function test(ConnectorId: string, server: Sshd, { SftpConfig }: DescribedConnector): Promise<object> {
  const trusted = SftpConfig?.TrustedHostKeys ?? [];
  const verdict = (Status: string, StatusMessage: string, HostKey?: string): object => ({
    ConnectorId,
    Status,
    StatusMessage,
    ...(HostKey === undefined ? {} : { SftpConnectionDetails: { HostKey } }),
  });
  if (SftpConfig?.UserSecretId === undefined)
    return verdict('ERROR', 'Secret does not contain a private key or password');
  try {
    await using partner = await Partner.connect(server, trusted);
    if (trusted.length === 0) return verdict('ERROR', 'No trusted host key is configured', partner.hostKey);
    return verdict('OK', 'Connection succeeded', partner.hostKey);
  } catch (error) {
    if (error instanceof UntrustedKey)
      return verdict(
        'ERROR',
        'Host key verification failed: the key of the server is not trusted',
        error.message,
      );
    return verdict('ERROR', `Unable to connect: ${error instanceof Error ? error.message : String(error)}`);
  }
}
