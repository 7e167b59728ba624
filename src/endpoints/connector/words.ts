/** What DescribeConnector says, in words, and whether files can be sent with it. */

import type { DescribedConnector } from '@aws-sdk/client-transfer';
import { Fault } from '../../sync/errors.ts';

/** @throws Fault `rejected` | `unreachable` when nothing can be sent with it now */
export function assertUsable(name: string, described: DescribedConnector): void {
  const { ConnectorId = '', Status, ErrorMessage, SftpConfig, As2Config } = described;
  if (SftpConfig === undefined || As2Config !== undefined)
    throw new Fault('rejected', `${name}: ${ConnectorId} is no SFTP connector`, {
      code: 'NO_CONNECTOR',
      advice: 'Name an SFTP connector in endpoints.yaml; `aws transfer list-connectors` shows them.',
    });
  if (Status === 'ERRORED')
    throw new Fault(
      'rejected',
      `${name}: ${ConnectorId} is ERRORED${ErrorMessage === undefined ? '' : `: ${ErrorMessage}`}`,
      {
        code: 'CONNECTOR_ERRORED',
        advice: erroredAdvice(described),
      },
    );
  if (Status === 'PENDING')
    throw new Fault('unreachable', `${name}: ${ConnectorId} is PENDING: AWS is still making or changing it`, {
      code: 'CONNECTOR_PENDING',
      during: 'connect',
      advice: 'That takes some minutes; Ferry tries again.',
    });
}

function erroredAdvice({ EgressType }: DescribedConnector): string {
  return EgressType === 'VPC_LATTICE'
    ? 'Look at its resource configuration in VPC Lattice (is it active, and shared with this account?) and its resource gateway, then `aws transfer update-connector` or make it anew.'
    : 'Correct what it says with `aws transfer update-connector`, or make it anew.';
}

/** How it reaches the partner: `service-managed egress to sftp://…`. */
export function egressOf({
  EgressType,
  EgressConfig,
  Url,
  ServiceManagedEgressIpAddresses = [],
  IpAddressType,
}: DescribedConnector): string {
  const lattice = EgressConfig?.VpcLattice;
  if (EgressType === 'VPC_LATTICE') {
    const port = lattice?.PortNumber ?? 22;
    return `VPC Lattice, through resource configuration ${lattice?.ResourceConfigurationArn ?? '(none)'}, port ${port}`;
  }
  const from =
    ServiceManagedEgressIpAddresses.length === 0
      ? ''
      : `, from ${ServiceManagedEgressIpAddresses.join(', ')}`;
  const family = IpAddressType === 'DUALSTACK' ? ', IPv4 and IPv6' : '';
  return `service-managed egress (over the internet) to ${Url ?? '(no URL)'}${from}${family}`;
}

export function connectionsOf({ SftpConfig }: DescribedConnector): string {
  const most = SftpConfig?.MaxConcurrentConnections ?? 1;
  return most === 1 ? 'one file at a time' : `${most} files at once`;
}
