/** Structured logs on stderr: stdout belongs to whoever runs us. Nothing secret goes in, and what might is cut out by path. */
import { pino, type Logger as PinoLogger } from 'pino'

export type Logger = PinoLogger

export function createLogger(level: string): Logger {
  return pino(
    {
      level,
      base: null,
      redact: { paths: ['authorization', 'headers.authorization', 'headers["x-api-key"]', 'key', 'env'], censor: '…' },
    },
    pino.destination({ dest: 2, sync: true }),
  )
}
