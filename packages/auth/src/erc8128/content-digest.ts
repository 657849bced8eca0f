/** `Content-Digest` (RFC 9530) over the bytes as they were received, before anybody has decoded anything. */
import { hash, timingSafeEqual } from 'node:crypto'
import { parseDictionary } from './structured-fields.ts'

const ALGORITHMS = new Map([
  ['sha-256', 'sha256'],
  ['sha-512', 'sha512'],
])

/** ERC-8128 §3.1.3: every known member has to match, and there has to be one; the others are ignored. */
export function matchesContentDigest(field: string, content: Uint8Array): boolean {
  let known = 0
  try {
    for (const [name, member] of parseDictionary(field)) {
      const algorithm = ALGORITHMS.get(name)
      if (algorithm === undefined) continue
      if (!('value' in member) || member.value.kind !== 'bytes') return false
      const digest = hash(algorithm, content, 'buffer')
      if (member.value.value.length !== digest.length || !timingSafeEqual(member.value.value, digest)) return false
      known++
    }
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return false
    throw error
  }
  return known > 0
}
