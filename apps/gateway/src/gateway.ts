/** Opens the parts, holds them together and closes them again: what calls pass (core.ts) and the ways in (front.ts). */
import { setTimeout as sleep } from 'node:timers/promises'
import { killAllGroups } from '@mcp-gateway/wire'
import type { Config } from './config.ts'
import { openCore, type Core } from './core.ts'
import { openFront, readTls, type Front } from './front.ts'
import type { Logger } from './log.ts'

export type GatewayOptions = {
  readonly config: Config
  /** @default pino on stderr at `config.log.level` */
  readonly logger?: Logger | undefined
  readonly version?: string
  /** What children may know of the gateway's own environment. @default where programs and the home directory are */
  readonly environment?: Readonly<Record<string, string>>
  /** SQLite file for what must survive a restart; the audit log is beside it. @default none: nothing is kept or recorded */
  readonly database?: string
  /** Operators' wallets have to sign each request, whatever the configuration says. @default false */
  readonly enforceSignatures?: boolean
}

export type RunningGateway = AsyncDisposable & {
  readonly url: string
  readonly port: number
  /** Takes over a new configuration. Calls under way end as they began; what {@link NEEDS_RESTART} names waits for a restart. */
  reload(config: Config): Promise<void>
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** How long calls in flight may take to end when the gateway stops. */
const DRAIN_MS = 5000
const NEEDS_RESTART = ['host', 'port', 'limits', 'audit', 'metrics', 'tls'] as const

/** Listens when it resolves. Servers are started by their first use. Rejects with the system's error when the port is taken. */
export async function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  // When something fails, what was opened before it is closed again.
  await using opened = new AsyncDisposableStack()
  const tls = readTls(options.config)
  const core = await openCore(options, opened)
  const { logger, table, audit, live } = core
  if (live.config.policies === undefined && live.config.auth.type !== 'none')
    logger.info('no policies are configured: every caller may call every tool')
  const { database = ':memory:', version = '0.0.0' } = options
  const front = openFront(core, { database, version, tls }, opened)
  const { port, url } = await front.listen()
  // Not before: the log may be that of the gateway that has the port.
  await audit?.main.started()
  logger.info({ url, servers: table.count() }, 'listening')

  // An exit that skips `close`, an uncaught error say, still takes the children along.
  if (!process.listeners('exit').includes(killAllGroups)) process.on('exit', killAllGroups)

  const held = opened.move()
  let closing: Promise<void> | undefined
  const close = async (): Promise<void> => {
    front.stop()
    for (const until = Date.now() + DRAIN_MS; core.inFlight() > 0 && Date.now() < until;) await sleep(20)
    await held.disposeAsync()
    logger.info('stopped')
  }
  return {
    url,
    port,
    reload: (next) => reload(core, front, next),
    close: () => (closing ??= close()),
    [Symbol.asyncDispose]: () => (closing ??= close()),
  }
}

async function reload({ live, replace, audit, logger }: Core, { discovery }: Front, next: Config): Promise<void> {
  const before = live.config
  const restart = NEEDS_RESTART.filter((key) => JSON.stringify(next[key]) !== JSON.stringify(before[key]))
  const config: Config = { ...next, ...Object.fromEntries(NEEDS_RESTART.map((key) => [key, before[key]])) }
  const changes = await replace(config)
  logger.level = config.log.level
  discovery.serversChanged()
  await audit?.main.onReload(before, config, changes)
  logger.info(changes, 'configuration reloaded')
  if (restart.length > 0) logger.warn({ settings: restart }, 'these settings take effect after a restart')
}
