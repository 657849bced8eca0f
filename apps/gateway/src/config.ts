/**
 * The gateway's configuration: text in, a complete `Config` or one `ConfigError` with every finding out.
 *
 * Limits on the file itself: {@link maxConfigBytes} bytes, {@link maxAliases} alias expansions (a YAML "billion laughs"
 * is refused), one document. Limits the file sets for the gateway, all in `Config['limits']` with their defaults:
 *
 *   maxBodyBytes 4194304 · maxDepth 128 · maxBatch 50 · maxLineBytes 16777216 · maxConcurrentCalls 1024
 *   maxSessions 1000 · maxSessionsPerCaller 100 · sessionIdleMs 1800000
 *   maxConnectionsPerServer 100 · maxParkedCalls 1000
 *
 * Nothing here reads `process.env`, the network or the disk: the caller passes the text and the environment.
 */
import { dirname, resolve } from 'node:path'
import { LineCounter, parseDocument, visit, type Alias, type Document } from 'yaml'
import type { ExportConfig } from './config-audit.ts'
import type { AuthConfig } from './auth-config.ts'
import { checkAcross } from './config-checks.ts'
import { ConfigError, locate, type ConfigFinding, type Problem } from './config-findings.ts'
import { checkShape } from './config-schema.ts'
import { checkAuth } from './open-authentication.ts'
import { interpolate } from './interpolate.ts'
import type { PolicySections } from './policy-config.ts'
import { checkQuotas, type QuotasConfig } from './quotas.ts'
import type { UpstreamAuthConfig } from './upstream-auth-schema.ts'
import { checkUpstreamAuth } from './upstream-auth-checks.ts'

export { ConfigError } from './config-findings.ts'
export { configJsonSchema } from './config-schema.ts'

export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'

/** One API key. `key` is `sha256:<64 hex>` or, for people who accept a secret in the file, the plain `gw_…` text. */
type ServerCommon = {
  readonly id: string
  /** Who has it; each of them a process of its own. */
  readonly tenants: readonly string[]
  /** @default the id */
  readonly name: string
  readonly description?: string
  readonly enabled: boolean
  readonly tags: readonly string[]
  /** Milliseconds a call may stay silent (no result and no progress) before it is given up. */
  readonly timeout: number
  /** Milliseconds a call may take at all; 0 sets no limit. */
  readonly maxTimeout: number
  /** Milliseconds until the handshake must be over. */
  readonly startTimeout: number
  /** Milliseconds after which an unused connection is closed; 0 keeps it. */
  readonly idleStop: number
  /** Milliseconds between signs of life of an idle connection; 0 asks for none. */
  readonly healthInterval: number
  /** Whether the legacy sessions of one caller share a connection, or every session has its own. */
  readonly isolation: 'caller' | 'session'
  readonly tools: Readonly<Record<string, ToolSettings>>
}

/** Of one tool, in place of its server's. */
export type ToolSettings = {
  readonly timeout?: number
  readonly maxTimeout?: number
  /** What an access token must have to call it, besides `auth.scopes`. */
  readonly scopes?: readonly string[]
}

export type StdioServerConfig = ServerCommon & {
  readonly transport: 'stdio'
  readonly command: string
  readonly args: readonly string[]
  /** Everything the child is given beyond the few variables a process needs to start at all. */
  readonly env: Readonly<Record<string, string>>
  /** Absolute when the file's place is known: a relative `cwd` is relative to the configuration file. */
  readonly cwd?: string
}

export type RemoteServerConfig = ServerCommon & {
  readonly transport: 'http' | 'sse'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly auth?: UpstreamAuthConfig
}

export type ServerConfig = StdioServerConfig | RemoteServerConfig

export type Config = {
  readonly host: string
  /** 0 lets the system choose. */
  readonly port: number
  /** Host header values accepted besides those of the address listened on. */
  readonly allowedHosts: readonly string[]
  /** Origin header values accepted from browsers. */
  readonly allowedOrigins: readonly string[]
  readonly auth: AuthConfig
  /** Scheme and host by which callers know the gateway. */
  readonly publicUrl?: string | undefined
  /** PEM files; absolute when the configuration file's place is known. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca?: string | undefined } | undefined
  readonly servers: readonly ServerConfig[]
  readonly limits: {
    readonly maxBodyBytes: number
    readonly maxDepth: number
    readonly maxBatch: number
    readonly maxSessions: number
    readonly maxSessionsPerCaller: number
    readonly sessionIdleMs: number
    readonly maxLineBytes: number
    readonly maxConcurrentCalls: number
    readonly maxConnectionsPerServer: number
    readonly maxParkedCalls: number
  }
  /** What each tenant may have at most. */
  readonly quotas?: QuotasConfig | undefined
  /** What `tools/list` of `/mcp` shows: every tool, or the gateway's own, with which a caller enables servers. */
  readonly discovery: 'all' | 'opt-in'
  /** With more tools than this, `all` becomes `opt-in`. */
  readonly discoveryThreshold: number
  readonly audit: {
    readonly enabled: boolean
    /** Where it is kept: `sqlite` in files beside the gateway's database, `postgres` in that of `dsn`. */
    readonly storage: 'sqlite' | 'postgres'
    /** The log's file, instead of the one beside the gateway's database. */
    readonly path?: string
    readonly dsn?: string
    /** Whether an answer waits until its entry is on the disk. */
    readonly mode: 'sync' | 'async'
    /** Whether a call that can't be recorded gets an answer. */
    readonly onFailure: 'closed' | 'open'
    readonly arguments: 'full' | 'redacted' | 'hash'
    readonly responses: 'full' | 'redacted' | 'hash'
    readonly maxBodyBytes: number
    /** Where the log may be: it is sent only to exports marked the same. */
    readonly region?: string
    /** After so many days fields are erased. */
    readonly retentionDays?: number
    /** 0: only when somebody asks. */
    readonly checkpointIntervalMs: number
    readonly witnesses: readonly { readonly url: string; readonly key: string }[]
    readonly export: readonly ExportConfig[]
  }
  /** Whether `GET /metrics` is there, and anything counted for it. */
  readonly metrics: { readonly enabled: boolean }
  readonly log: { readonly level: LogLevel }
} & PolicySections

export type ParseConfigOptions = {
  /** Where `${NAME}` is looked up, usually `process.env`. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** The file's path: named in findings, and relative `cwd`s start from its folder. */
  readonly file?: string
  /** Values from flags and variables. They pass the same checks, so `--host 0.0.0.0` cannot slip past the file's. */
  readonly overrides?: { readonly host?: string; readonly port?: number }
  /** Epoch milliseconds: keys that have expired by then count for nobody's quota. @default Date.now() */
  readonly now?: number
}

/** A person's file has a few hundred lines. */
const maxConfigBytes = 1_048_576
/** How many nodes aliases may expand to, per anchor (yaml's `maxAliasCount`). */
const maxAliases = 100

/** Parses and checks a YAML (or JSON) configuration. @throws ConfigError with all findings. */
export function parseConfig(text: string, options: ParseConfigOptions): Config {
  const label = options.file ?? 'configuration'
  if (Buffer.byteLength(text) > maxConfigBytes) {
    throw new ConfigError(label, [atStart(`is larger than ${maxConfigBytes} bytes`)])
  }
  const lines = new LineCounter()
  const document = readDocument(text, lines, label)
  const missing = interpolate(document, options.env)
  const raw = withOverrides(plainValue(document, lines, label), options.overrides)

  const shape = checkShape(raw)
  const wrong =
    'problems' in shape
      ? shape.problems
      : [
          ...checkAuth(shape.config),
          ...checkUpstreamAuth(shape.config),
          ...checkQuotas(shape.config, options.now ?? Date.now()),
        ]
  const found = withoutEchoes(missing, [...wrong, ...checkAcross(raw)])
  if (found.length > 0 || 'problems' in shape) throw new ConfigError(label, locate(document, lines, found))
  return options.file === undefined ? shape.config : rooted(shape.config, dirname(resolve(options.file)))
}

function readDocument(text: string, lines: LineCounter, label: string): Document.Parsed {
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true })
  // What follows the first syntax error is mostly its echo.
  const problem = document.errors[0] ?? document.warnings[0]
  if (problem === undefined) return document
  // The YAML composer is recursive: 500 000 opening brackets end its stack, which it reports as an error of the text.
  if (/call stack|stack overflow/i.test(problem.message))
    throw new ConfigError(label, [atStart('is nested too deeply')])
  const { line, col } = lines.linePos(problem.pos[0])
  const message =
    problem.code === 'MULTIPLE_DOCS' ? 'is a second YAML document' : `is not valid YAML: ${problem.message}`
  throw new ConfigError(label, [{ line, column: col, path: '', message }])
}

function plainValue(document: Document.Parsed, lines: LineCounter, label: string): object {
  const value: unknown = expandAliases(document, lines, label)
  // A file of comments only is a file of defaults.
  if (value === null || value === undefined) return {}
  if (typeof value === 'object' && !Array.isArray(value)) return value
  throw new ConfigError(label, [atStart('must be a map of settings, such as "servers:"')])
}

function expandAliases(document: Document.Parsed, lines: LineCounter, label: string): unknown {
  try {
    return document.toJS({ maxAliasCount: maxAliases })
  } catch (error) {
    // yaml has the same error for an alias without an anchor and for a bomb.
    if (!(error instanceof ReferenceError)) throw error
    let dangling: Alias | undefined
    visit(document, {
      Alias(_, alias) {
        if (alias.resolve(document) !== undefined) return undefined
        dangling = alias
        return visit.BREAK
      },
    })
    if (dangling === undefined) throw new ConfigError(label, [atStart('expands too many aliases')])
    const { source } = dangling
    throw new ConfigError(
      label,
      locate(document, lines, [{ path: [], message: `"*${source}" has no "&${source}" before it`, node: dangling }]),
    )
  }
}

function withOverrides(raw: object, overrides: ParseConfigOptions['overrides'] = {}): object {
  const given = Object.entries(overrides).filter(([, value]) => value !== undefined)
  return { ...raw, ...Object.fromEntries(given) }
}

/** A reference that could not be replaced is one finding, not also a bad URL and an unknown key format. */
function withoutEchoes(missing: readonly Problem[], others: readonly Problem[]): Problem[] {
  const places = new Set(missing.map(({ path }) => JSON.stringify(path)))
  return [...missing, ...others.filter(({ path }) => !places.has(JSON.stringify(path)))]
}

function rooted(config: Config, folder: string): Config {
  const servers = config.servers.map((server) =>
    server.transport === 'stdio' && server.cwd !== undefined ? { ...server, cwd: resolve(folder, server.cwd) } : server,
  )
  const exports = config.audit.export.map((one): ExportConfig => {
    if (one.type === 'jsonl' || one.type === 'csv') return { ...one, path: resolve(folder, one.path) }
    return one.type === 'syslog' && one.ca !== undefined ? { ...one, ca: resolve(folder, one.ca) } : one
  })
  const { tls } = config
  const { path } = config.audit
  const pem = (file: string): string => resolve(folder, file)
  const files = tls && { cert: pem(tls.cert), key: pem(tls.key), ...(tls.ca !== undefined && { ca: pem(tls.ca) }) }
  return {
    ...config,
    servers,
    ...(files && { tls: files }),
    audit: { ...config.audit, ...(path !== undefined && { path: pem(path) }), export: exports },
  }
}

function atStart(message: string): ConfigFinding {
  return { line: 1, column: 1, path: '', message }
}
