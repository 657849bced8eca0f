/**
 * Structured logs on stderr: stdout belongs to whoever runs us. What others wrote, servers on their stderr and in their errors,
 * callers in names, is logged without what looks like a secret or a person; the rest is ours and has none.
 */
import { pino, stdSerializers, type Logger as PinoLogger } from 'pino'
import { withoutSecrets } from './foreign-text.ts'

export type Logger = PinoLogger

/** Log text that may wait for a slow reader; past it lines are dropped, because calls matter more. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024
/** Members of a line that quote somebody. */
const FOREIGN = ['text', 'error', 'name', 'reason'] as const

export function createLogger(level: string): Logger {
  // Not synchronous: a full pipe would stop the whole gateway for 100 ms at a time.
  const destination = pino.destination({ dest: 2, sync: false, maxLength: MAX_WAITING_BYTES })
  return pino(
    {
      level,
      base: null,
      redact: { paths: ['authorization', 'headers.authorization', 'headers["x-api-key"]', 'key', 'env'], censor: '…' },
      formatters: { log: cleaned },
      serializers: { err: (error: Error) => cleaned({ ...stdSerializers.err(error) }) },
    },
    destination,
  )
}

function cleaned(line: Record<string, unknown>): Record<string, unknown> {
  let clean = line
  for (const key of [...FOREIGN, 'message', 'stack']) {
    const value = line[key]
    if (typeof value !== 'string') continue
    const text = withoutSecrets(value)
    if (text !== value) clean = { ...clean, [key]: text }
  }
  return clean
}
