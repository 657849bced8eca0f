/**
 * An entry as `mcp-gateway-verify` reads it: its exact bytes in the log, and each disclosed field with the key that opens
 * its commitment. It can be verified again by whoever has a checkpoint; `log`, `seq` and `id` are members of the entry.
 */
import { canonicalize } from '../canonical-json.ts'
import type { FollowedEntry } from '../follower.ts'

/** Without an end of line. */
export function formatJsonl({ leaf, fields }: FollowedEntry): string {
  // The leaf goes in as it is: it is canonical JSON already, and any other spelling would be another entry.
  const entry = `"entry":${Buffer.from(leaf).toString('utf8')}`
  if (fields.length === 0) return `{${entry}}`
  const disclosed = Object.fromEntries(
    fields.map(({ name, key, value }) => [name, { key: Buffer.from(key).toString('base64'), ...valueOf(value) }]),
  )
  return `{${entry},"fields":${canonicalize(disclosed)}}`
}

function valueOf(value: Uint8Array): { readonly text: string } | { readonly base64: string } {
  const bytes = Buffer.from(value)
  const text = bytes.toString('utf8')
  return Buffer.from(text, 'utf8').equals(bytes) ? { text } : { base64: bytes.toString('base64') }
}
