/** Structured logs on stderr: stdout belongs to whoever runs us. Nothing secret goes in, and what might is cut out by path. */
import { pino, type Logger as PinoLogger } from 'pino'

export type Logger = PinoLogger

/** Log text that may wait for a slow reader; past it lines are dropped, because calls matter more. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024

export function createLogger(level: string): Logger {
  // Not synchronous: a full pipe would stop the whole gateway for 100 ms at a time.
  const destination = pino.destination({ dest: 2, sync: false, maxLength: MAX_WAITING_BYTES })
  return pino(
    {
      level,
      base: null,
      redact: { paths: ['authorization', 'headers.authorization', 'headers["x-api-key"]', 'key', 'env'], censor: '…' },
    },
    destination,
  )
}
