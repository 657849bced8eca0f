/** Logs, and the bundles that their gateway would write. */
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  createMetaLog,
  createSigner,
  formatTlogProof,
  openLog,
  signCheckpoint,
  type AuditLog,
  type MetaLog,
  type NoteSigner,
} from '@mcp-gateway/audit-chain'
import { createMemoryStore } from '@mcp-gateway/audit-chain/stores/memory'
import { canonicalize, type Disclosure, type JsonObject, type JsonValue } from '@mcp-gateway/audit-chain/verify'
import { run } from '../src/program.ts'

export const ORIGIN = 'gw.example.com/audit/eu/8f3c'
const { privateKey } = generateKeyPairSync('ed25519')
const signer = createSigner({ name: ORIGIN, privateKey })
export const KEY: string = signer.verifierKey.text

/** A key that signs for this log's name, and is not its key. */
export const STRANGER: string = createSigner({ name: ORIGIN, privateKey: generateKeyPairSync('ed25519').privateKey })
  .verifierKey.text

/** `word` makes another history. */
export async function makeLog(size: number, word = 'search', origin = ORIGIN): Promise<AuditLog> {
  const start = Date.UTC(2026, 10, 21)
  let now = 0
  const log = openLog({ store: createMemoryStore(), origin, clock: () => start + (now += 1) })
  for (let i = 0; i < size; i += 1) {
    const facts = { tool: i === 3 ? word : 'search', odd: { v: 1 }, fields: { a: 1 } }
    await log.append({ type: 'tool.call', id: `call-${i}`, facts, subject: 'ada', fields: { args: `{"q":"${i}"}` } })
  }
  return log
}

export async function signed(log: AuditLog, size: number): Promise<string> {
  return await signCheckpoint({ origin: ORIGIN, size, rootHash: await log.rootHash(size) }, signer)
}

export const head = (origin = ORIGIN): string => canonicalize({ log: origin, v: 1 })
export const checkpointLine = (note: string): string => canonicalize({ checkpoint: note })

export async function consistencyLine(log: AuditLog, from: number, to: number): Promise<string> {
  const hashes = (await log.proveConsistency(from, to)).map((hash) => Buffer.from(hash).toString('base64'))
  return canonicalize({ consistency: { from, hashes, to } })
}

export const META = 'gw.example.com/meta/eu/77aa'
const metaSigner = createSigner({ name: META, privateKey: generateKeyPairSync('ed25519').privateKey })
export const META_KEY: string = metaSigner.verifierKey.text

/** A meta-log with checkpoints of others around those of this log. */
export async function makeMeta(log: AuditLog, sizes: readonly number[]): Promise<MetaLog> {
  const meta = createMetaLog({ store: createMemoryStore(), origin: META })
  for (const size of sizes) {
    for (const name of ['a', 'b']) await meta.record({ origin: name, size, rootHash: new Uint8Array(32) })
    await meta.record({ origin: log.origin, size, rootHash: await log.rootHash(size) })
    await meta.record({ origin: 'c', size, rootHash: new Uint8Array(32) })
  }
  return meta
}

export type MetaParts = { readonly cosigner?: NoteSigner; readonly key?: string; readonly signer?: NoteSigner }

/** What a bundle has of the meta-log, for the checkpoint of this size. */
export async function metaLine(meta: MetaLog, size: number, parts: MetaParts = {}): Promise<string> {
  const { cosigner, key = META_KEY, signer: by = metaSigner } = parts
  const { size: all } = await meta.log.head()
  const checkpoint = { origin: META, size: all, rootHash: await meta.log.rootHash(all) }
  const note = await signCheckpoint(checkpoint, by)
  const cosigned = cosigner === undefined ? note : note + (await cosigner.sign(note.slice(0, note.indexOf('\n\n') + 1)))
  const seq = (await meta.find(ORIGIN, size)) ?? 0
  const proof = formatTlogProof({ index: seq, proof: await meta.log.proveInclusion(seq, all), checkpoint: cosigned })
  const entry = Buffer.from((await meta.log.entry(seq)).leaf).toString()
  return `{"meta":{"entry":${entry},"key":${JSON.stringify(key)},"proof":${JSON.stringify(proof)}}}`
}

export async function metaConsistencyLine(meta: MetaLog, from: number): Promise<string> {
  const { size: to } = await meta.log.head()
  const hashes = (await meta.log.proveConsistency(from, to)).map((hash) => Buffer.from(hash).toString('base64'))
  return canonicalize({ consistency: { from, hashes, log: META, to } })
}

async function entryLine(log: AuditLog, seq: number, proof?: string): Promise<string> {
  const fields: Record<string, JsonValue> = {}
  for (const { name, key, value } of await log.disclose(seq)) fields[name] = fieldOf({ name, key, value })
  for await (const { leaf } of log.entries({ from: seq })) {
    const rest = canonicalize({ fields, ...(proof !== undefined && { proof }) })
    return `{"entry":${Buffer.from(leaf).toString()},${rest.slice(1)}`
  }
  throw new RangeError(`no entry ${seq}`)
}

function fieldOf({ key, value }: Disclosure): JsonObject {
  return { key: Buffer.from(key).toString('base64'), text: Buffer.from(value).toString() }
}

/** A whole log: its entries and then the checkpoint. */
export async function exportOf(log: AuditLog, size: number): Promise<string[]> {
  const lines = [head(log.origin)]
  for (let seq = 0; seq < size; seq += 1) lines.push(await entryLine(log, seq))
  return [...lines, checkpointLine(await signed(log, size))]
}

export async function proofOf(log: AuditLog, seq: number, size: number): Promise<string[]> {
  const proof = formatTlogProof({
    index: seq,
    proof: await log.proveInclusion(seq, size),
    checkpoint: await signed(log, size),
  })
  return [head(), await entryLine(log, seq, proof)]
}

export const textOf = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('')

export type Checked = {
  readonly code: number
  readonly findings: readonly { readonly code: string; readonly seq?: number; readonly message: string }[]
  readonly pinned: readonly string[]
  readonly taken: readonly string[]
  readonly meta?: { readonly origin: string; readonly size: number; readonly witnessedAt?: number }
  readonly text: string
}

/** The program in this process, with the bundle on stdin. */
export async function check(bundle: string | Uint8Array, ...args: readonly string[]): Promise<Checked> {
  return await verifyWith(bundle, '--key', KEY, ...(args.includes('--state') ? args : ['--no-state', ...args]), '-')
}

export async function verifyWith(bundle: string | Uint8Array, ...args: readonly string[]): Promise<Checked> {
  let text = ''
  const code = await run([...args, '--json'], {
    env: {},
    cwd: tmpdir(),
    home: '/nonexistent',
    version: '0',
    input: (async function* () {
      yield typeof bundle === 'string' ? Buffer.from(bundle) : bundle
    })(),
    print: (printed) => void (text += printed),
    note: () => {},
  })
  const { findings, pinned, taken, meta } = JSON.parse(text) as Checked
  return { code, findings, pinned, taken, text, ...(meta && { meta }) }
}

export function folder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'mcp-gateway-verify-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}
