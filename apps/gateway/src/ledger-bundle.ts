/**
 * The log, or parts of it, as `mcp-gateway-verify` reads it (its README says the format): the exact bytes of entries, what
 * opens their fields, and a signed checkpoint. A whole log proves that nothing is missing; a part proves what is in it.
 */
import { formatTlogProof } from '@mcp-gateway/audit-chain'
import { canonicalize } from '@mcp-gateway/audit-chain/verify'
import { GatewayError } from './errors.ts'
import type { LedgerKeys, SignedState } from './ledger-keys.ts'
import type { ConsistencyProof } from './ledger-meta.ts'
import { matches, type LedgerFilter } from './ledger-query.ts'
import { readPages, type LedgerReader } from './ledger-rows.ts'

export type BundleOptions = LedgerFilter & {
  /** One entry, by its id. */
  readonly id?: string
  /** Arguments and responses, too. */
  readonly withBodies: boolean
  /** Sizes of the checkpoints that the reader remembers: the bundle shows that those here continue them. */
  readonly seen?: number | undefined
  readonly seenMeta?: number | undefined
  /** Told why the meta-log's part is missing. @default nobody */
  readonly onProblem?: (problem: string) => void
}

/** What opens to everybody who gets a bundle: who it was, and which request. */
const PLAIN: ReadonlySet<string> = new Set(['subject', 'request'])

/** One line after the other, without their ends. Signs a checkpoint. @throws GatewayError GATEWAY_UNKNOWN_ENTRY */
export async function* bundleLedger(
  reader: LedgerReader & { readonly keys: LedgerKeys },
  { withBodies, id, seen, seenMeta, onProblem, ...filter }: BundleOptions,
): AsyncGenerator<string> {
  const { log, keys } = reader
  const seq = id === undefined ? undefined : await log.find(id)
  const signed = seq === undefined ? await keys.checkpoint() : await keys.covering(seq)
  if (signed === undefined || (id !== undefined && (seq === undefined || seq >= signed.size)))
    throw new GatewayError('GATEWAY_UNKNOWN_ENTRY', 'there is no such entry in the audit log')
  yield canonicalize({ log: log.origin, v: 1 })
  if (seen !== undefined) yield* consistency(log, seen, signed.size)
  if (seq !== undefined) {
    yield await line(log, seq, withBodies, signed)
    return yield* metaLines(keys, signed, seenMeta, onProblem)
  }

  const isWhole = Object.values(filter).every((value) => value === undefined)
  const from = filter.from === undefined ? 0 : await log.findTime(filter.from)
  const to = filter.to === undefined ? signed.size : Math.min(await log.findTime(filter.to), signed.size)
  for await (const rows of readPages(reader, from, to)) {
    for (const row of rows) {
      if (matches(row, filter)) yield await line(log, row.seq, withBodies, isWhole ? undefined : signed)
    }
  }
  if (isWhole) yield canonicalize({ checkpoint: signed.note })
  yield* metaLines(keys, signed, seenMeta, onProblem)
  return undefined
}

/** That the meta-log has this checkpoint. Where it cannot say so, the rest proves what it proved before. */
async function* metaLines(
  keys: LedgerKeys,
  signed: SignedState,
  seen: number | undefined,
  onProblem: BundleOptions['onProblem'],
): AsyncGenerator<string, undefined> {
  const outcome = await keys.proveMeta(signed, seen)
  if ('metaProblem' in outcome) {
    onProblem?.(outcome.metaProblem)
    return undefined
  }
  const { entry, proof, verifierKey, consistency: proven } = outcome.meta
  if (proven !== undefined) yield consistencyLine(proven)
  yield `{"meta":{"entry":${entry},"key":${JSON.stringify(verifierKey)},"proof":${JSON.stringify(proof)}}}`
  return undefined
}

async function* consistency(log: LedgerReader['log'], seen: number, size: number): AsyncGenerator<string> {
  const [from, to] = seen < size ? [seen, size] : [size, seen]
  if (from > 0 && from < to) yield consistencyLine({ from, to, hashes: await log.proveConsistency(from, to) })
}

function consistencyLine({ hashes, ...rest }: ConsistencyProof): string {
  return canonicalize({ consistency: { ...rest, hashes: hashes.map((hash) => Buffer.from(hash).toString('base64')) } })
}

/** The leaf goes in as it is: it is canonical JSON already, and any other spelling would be another entry. */
async function line(
  log: LedgerReader['log'],
  seq: number,
  withBodies: boolean,
  signed: SignedState | undefined,
): Promise<string> {
  const { leaf } = await log.entry(seq)
  const opened = (await log.disclose(seq)).filter(({ name }) => withBodies || PLAIN.has(name))
  const fields = Object.fromEntries(
    opened.map(({ name, key, value }) => [name, { key: Buffer.from(key).toString('base64'), ...valueOf(value) }]),
  )
  const members = [
    `"entry":${Buffer.from(leaf).toString('utf8')}`,
    ...(opened.length > 0 ? [`"fields":${canonicalize(fields)}`] : []),
  ]
  if (signed !== undefined) {
    const proof = await log.proveInclusion(seq, signed.size)
    members.push(`"proof":${JSON.stringify(formatTlogProof({ index: seq, proof, checkpoint: signed.note }))}`)
  }
  return `{${members.join(',')}}`
}

function valueOf(value: Uint8Array): { readonly text: string } | { readonly base64: string } {
  const bytes = Buffer.from(value)
  const text = bytes.toString('utf8')
  return Buffer.from(text, 'utf8').equals(bytes) ? { text } : { base64: bytes.toString('base64') }
}
