/** A witness over HTTP: the client of C2SP tlog-witness, `POST <prefix>/add-checkpoint`. */
import type { SignedCheckpoint, Witness } from '../anchor.ts'
import { encodeBase64 } from '../base64.ts'
import { AuditError } from '../errors.ts'
import { readBody } from './read-body.ts'

export type HttpWitnessOptions = {
  /** The submission prefix, without a slash at its end. */
  readonly url: string
  /** @default 5000 */
  readonly timeoutMs?: number
  /** @default globalThis.fetch */
  readonly fetch?: typeof globalThis.fetch
}

const MAX_REPLY_BYTES = 65_536

export function createHttpWitness({ url, timeoutMs = 5000, fetch = globalThis.fetch }: HttpWitnessOptions): Witness {
  /** What the witness has seen of each log; when we do not know, it tells. */
  const sizes = new Map<string, number>()
  const MAX_ORIGINS = 10_000

  const post = async (
    { note }: SignedCheckpoint,
    oldSize: number,
    proof: readonly Uint8Array[],
    signal?: AbortSignal,
  ): Promise<{ status: number; text: string }> => {
    const body = `old ${oldSize}\n${proof.map((hash) => `${encodeBase64(hash)}\n`).join('')}\n${note}`
    const timeout = AbortSignal.timeout(timeoutMs)
    try {
      const response = await fetch(`${url}/add-checkpoint`, {
        method: 'POST',
        body,
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      })
      return { status: response.status, text: (await readBody(response, MAX_REPLY_BYTES)).toString() }
    } catch (error) {
      signal?.throwIfAborted()
      if (error instanceof AuditError) throw error
      throw new AuditError('AUDIT_ANCHOR_FAILED', `the witness ${url} did not answer`, { cause: error })
    }
  }

  return {
    name: url,
    async cosign(checkpoint, prove, signal) {
      const { origin, size } = checkpoint
      let oldSize = sizes.get(origin) ?? 0
      let reply = await post(checkpoint, oldSize, await prove(oldSize), signal)
      // 409 with a size: it has seen another tree than we thought. It gets the proof from there, once.
      const seen =
        reply.status === 409 && /^(?:0|[1-9][0-9]{0,15})\n$/.test(reply.text) ? Number(reply.text) : undefined
      if (seen !== undefined && seen !== oldSize && seen <= size) {
        oldSize = seen
        reply = await post(checkpoint, oldSize, await prove(oldSize), signal)
      }
      if (reply.status !== 200) {
        const said = reply.text.slice(0, 200).trim()
        throw new AuditError(
          'AUDIT_WITNESS_REFUSED',
          `the witness ${url} refused size ${size}: ${reply.status} ${said}`,
        )
      }
      if (sizes.size >= MAX_ORIGINS) sizes.clear()
      sizes.set(origin, size)
      return reply.text
    },
  }
}
