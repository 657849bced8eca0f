/** Requests that found their connection closed were never sent: they may be made again, whatever they do. */
import { WireError } from './errors.ts'

const MAX_ATTEMPTS = 3

/** Tries again while `attempt` throws or rejects with WIRE_NOT_SENT. */
export async function untilSent<T>(attempt: () => T | Promise<T>): Promise<T> {
  for (let left = MAX_ATTEMPTS - 1; ; left -= 1) {
    try {
      return await attempt()
    } catch (error) {
      if (left === 0 || !isUnsent(error)) throw error
    }
  }
}

export function isUnsent(error: unknown): boolean {
  return error instanceof WireError && error.code === 'WIRE_NOT_SENT'
}
