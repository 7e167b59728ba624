/** The road that an endpoint's own settings name. Jump hosts come on top of it: they are endpoints of their own. */

import { eiceRoad } from '../../roads/aws/eice.ts';
import { commandRoad } from '../../roads/command.ts';
import { directRoad } from '../../roads/direct.ts';
import { proxyRoad } from '../../roads/proxy.ts';
import { announced } from '../../roads/proxy-protocol.ts';
import type { Road } from '../../roads/road.ts';
import type { SftpSettings } from './settings.ts';

const FAMILIES = { any: undefined, inet: 4, inet6: 6 } as const;

export function ownRoad(settings: SftpSettings, env: Readonly<Record<string, string | undefined>>): Road {
  const {
    addressFamily,
    bindAddress,
    connectTimeout,
    host,
    idleTimeout,
    port,
    proxy,
    proxyCommand: command,
    proxyProtocol,
    road,
    user,
  } = settings;
  if (command !== undefined) return commandRoad({ command, host, port, user, env });
  const family = FAMILIES[addressFamily ?? 'any'];
  const direct = {
    timeoutMs: connectTimeout * 0.9, // so that it says what it knows before the deadline round all of it
    keepAliveMs: Math.min(15_000, idleTimeout / 3),
    ...(family === undefined ? {} : { family }),
    ...(bindAddress === undefined ? {} : { bindAddress }),
  };
  const towards = (to: string, at: number): Road =>
    proxy === undefined
      ? directRoad({ ...direct, host: to, port: at })
      : proxyRoad({ proxy, host: to, port: at, direct });
  if (road !== undefined) return eiceRoad({ settings: road.eice, port, env, road: towards });
  if (proxyProtocol === undefined) return towards(host, port);
  return announced(directRoad({ ...direct, host, port }), proxyProtocol);
}

/** The steps of `ferry check` that this road passes. */
export function ownSteps({ proxy, proxyCommand, road }: SftpSettings): readonly string[] {
  if (proxyCommand !== undefined) return ['proxy command'];
  const toProxy = proxy === undefined ? [] : ['proxy', 'tunnel'];
  if (road !== undefined) return ['aws', ...toProxy, 'aws tunnel'];
  return proxy === undefined ? ['name', 'tcp'] : toProxy;
}
