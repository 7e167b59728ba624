/** What Ferry uses of ssh2-sftp-client, which brings no types. */

declare module 'ssh2-sftp-client' {
  import type { Client, ConnectConfig, SFTPWrapper } from 'ssh2';

  export interface Callbacks {
    error?(error: Error): void;
    end?(): void;
    close?(): void;
  }

  export default class SftpClient {
    constructor(name?: string, callbacks?: Callbacks);
    readonly client: Client;
    readonly sftp: SFTPWrapper | undefined;
    connect(config: ConnectConfig): Promise<SFTPWrapper>;
  }
}
