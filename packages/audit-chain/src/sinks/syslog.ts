/**
 * Entries to a syslog collector: RFC 5424 messages, RFC 6587 octet counting, over TCP or TLS (RFC 5425).
 *
 * Syslog acknowledges nothing, so *delivered* is as much as TCP can show: each batch has a connection of its own, which we
 * close first, and the collector closes in return once it has read to the end. Were it killed before that, its system resets
 * the connection instead, and the batch comes again. What it has read and not yet stored when it is killed is not known here:
 * therefore the batches delivered last are sent again after a failure, up to `maxResendBytes`.
 *
 * UDP is not offered: it would lose entries, and nobody would know.
 */
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { AuditError } from '../errors.ts'
import type { FollowedEntry } from '../follower.ts'
import type { SecurityEvent, Severity } from '../formats/event.ts'
import type { RecordFormat, Sink } from '../sink.ts'

export type SyslogSinkOptions = {
  readonly host: string
  readonly port: number
  readonly transport:
    | { readonly type: 'tcp' }
    /** `ca` in PEM; without it, the authorities that Node.js trusts. */
    | { readonly type: 'tls'; readonly ca?: string; readonly cert?: string; readonly key?: string }
  /** The message: CEF, OCSF or JSON. */
  readonly record: RecordFormat
  readonly describe: (entry: FollowedEntry) => Pick<SecurityEvent, 'severity'>
  /** This machine's name in the messages. */
  readonly hostname: string
  /** @default mcp-gateway */
  readonly appName?: string
  /** RFC 5424 §6.2.1. @default 13, log audit */
  readonly facility?: number
  /** In the structured data's name; the default is the one for examples (RFC 5612). @default 32473 */
  readonly enterpriseId?: number
  /** A longer message is sent without its fields, and if that is too long, without its text. rsyslog's limit. @default 8192 */
  readonly maxMessageBytes?: number
  /** Of delivered batches, to be sent again after a failure. @default 256 KiB */
  readonly maxResendBytes?: number
  /** @default 10 seconds */
  readonly timeoutMs?: number
}

/** RFC 5424 §6.2.1. */
const SEVERITY: Readonly<Record<Severity, number>> = { info: 6, low: 5, medium: 4, high: 3 }

export function createSyslogSink(options: SyslogSinkOptions): Sink {
  const { host, port, maxResendBytes = 262_144, timeoutMs = 10_000 } = options
  /** What was delivered last, as it was sent. */
  let delivered: Buffer[] = []
  let hasFailed = false

  const remember = (frames: readonly Buffer[]): void => {
    delivered.push(...frames)
    let sizeBytes = 0
    const first = delivered.findLastIndex((frame) => (sizeBytes += frame.length) > maxResendBytes)
    delivered = delivered.slice(first + 1)
  }

  return {
    async write(entries, signal) {
      signal.throwIfAborted()
      const frames = entries.map((entry) => frameOf(messageOf(entry, options)))
      const all = Buffer.concat(hasFailed ? [...delivered, ...frames] : frames)
      try {
        await send(open(options), all, timeoutMs, signal)
      } catch (error) {
        hasFailed = true
        signal.throwIfAborted()
        throw new AuditError('AUDIT_SINK_FAILED', `${host}:${port} did not take ${frames.length} messages`, {
          cause: error,
        })
      }
      hasFailed = false
      remember(frames)
    },
    async [Symbol.asyncDispose]() {
      delivered = []
    },
  }
}

function open({ host, port, transport }: SyslogSinkOptions): Socket {
  if (transport.type === 'tcp') return connectTcp({ host, port })
  const { type: _, ...files } = transport
  return connectTls({ host, port, ...files })
}

/** Resolves when the other end has read everything: it got our end of the stream, and ended its own without an error. */
async function send(socket: Socket, bytes: Buffer, timeoutMs: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let hasSent = false
  let hasEnded = false
  const onAbort = (): void => void socket.destroy(signal.reason instanceof Error ? signal.reason : undefined)
  signal.addEventListener('abort', onAbort, { once: true })
  socket
    .setTimeout(timeoutMs, () => socket.destroy(new Error(`nothing happened for ${timeoutMs} ms`)))
    .once('finish', () => (hasSent = true))
    // An end that comes before ours is a collector that goes away.
    .once('end', () => (hasEnded = hasSent))
    .once('error', reject)
    .once('close', () => (hasEnded ? resolve() : reject(new Error('the connection was closed too early'))))
    .resume()
    .end(bytes)
  try {
    await promise
  } finally {
    signal.removeEventListener('abort', onAbort)
    socket.destroy()
  }
}

/** RFC 6587 §3.4.1. */
function frameOf(message: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${message.length} `), message])
}

function messageOf(followed: FollowedEntry, options: SyslogSinkOptions): Buffer {
  const { record, maxMessageBytes = 8192 } = options
  const head = headOf(followed, options)
  const withheld = { ...followed, fields: [] }
  for (const text of [() => record(followed), () => record(withheld)]) {
    const message = Buffer.from(`${head} ${text()}`)
    if (message.length <= maxMessageBytes) return message
  }
  return Buffer.from(`${head} too long: see the log`)
}

/** Everything up to the message, with log, seq and id as structured data, which no limit cuts off. */
function headOf(followed: FollowedEntry, options: SyslogSinkOptions): string {
  const { hostname, appName = 'mcp-gateway', facility = 13, enterpriseId = 32_473, describe } = options
  const { entry } = followed
  const priority = facility * 8 + SEVERITY[describe(followed).severity]
  const data = `log="${parameter(entry.log)}" seq="${entry.seq}" id="${parameter(entry.id)}"`
  const names = `${word(hostname, 255)} ${word(appName, 48)} - ${word(entry.type, 32)}`
  return `<${priority}>1 ${entry.ts} ${names} [audit@${enterpriseId} ${data}]`
}

/** RFC 5424 §6: printable ASCII without blanks. */
function word(text: string, maxLength: number): string {
  return text.replaceAll(/[^!-~]/g, '_').slice(0, maxLength) || '-'
}

/** RFC 5424 §6.3.3. */
function parameter(text: string): string {
  return text.replaceAll(/["\\\]]/g, String.raw`\$&`)
}
