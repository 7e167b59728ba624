/**
 * The SDK's client for Transfer Family. It tries nothing again by itself: a `StartFileTransfer` that was accepted and
 * whose answer was lost would send twice (the API takes no idempotency token). The SDK is loaded here, on first use.
 */

import type { Transfer, TransferClientConfig } from '@aws-sdk/client-transfer';
import { Renewal } from '../../roads/aws/renewal.ts';
import type { ConnectorSettings } from './settings.ts';

export interface Client extends Disposable {
  readonly transfer: Transfer;
  readonly renewal: Renewal;
}

/** @param elsewhere AWS_ENDPOINT_URL_TRANSFER or AWS_ENDPOINT_URL is set: the SDK reads it by itself */
export async function openClient(settings: ConnectorSettings, elsewhere: boolean): Promise<Client> {
  const sdk = await import('@aws-sdk/client-transfer');
  const { region, profile, connectTimeout, timeout } = settings;
  // The credential providers would keep ~/.aws/credentials for ever as they first read it.
  const fresh: object = { ignoreCache: true };
  const config: TransferClientConfig = {
    ...fresh,
    ...(region === undefined ? {} : { region }),
    ...(profile === undefined ? {} : { profile }),
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: connectTimeout,
      requestTimeout: timeout,
      throwOnRequestTimeout: true,
      socketAcquisitionWarningTimeout: 2 ** 31 - 1,
    },
  };
  let transfer = new sdk.Transfer(config);
  // Another server than AWS knows one region or none: only there is a default no guess.
  if (elsewhere && !(await hasRegion(transfer)))
    transfer = new sdk.Transfer({ ...config, region: 'us-east-1' });
  return {
    transfer,
    renewal: new Renewal(transfer.config),
    [Symbol.dispose]: () => transfer.destroy(),
  };
}

async function hasRegion(transfer: Transfer): Promise<boolean> {
  return await transfer.config.region().then(
    () => true,
    () => false,
  );
}
