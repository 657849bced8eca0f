/**
 * The key that signs the log's checkpoints, and what is made with it. It lies beside the log, readable by the gateway's user
 * only: whoever has both can sign another history, so checkpoints must also be kept where that person can't reach.
 */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setImmediate as breathe, setTimeout as sleep } from 'node:timers/promises'
import {
  AuditError,
  createPublisher,
  createSigner,
  formatTlogProof,
  type AuditLog,
  type AuditStore,
  type CheckpointPlace,
  type NoteSigner,
  type Published,
  type Publisher,
} from '@mcp-gateway/audit-chain'
import { createFilePlace } from '@mcp-gateway/audit-chain/anchors/file'
import { createHttpWitness } from '@mcp-gateway/audit-chain/anchors/witness'
import { parsePolicy, trustLogs, type TrustPolicy } from '@mcp-gateway/audit-chain/verify'
import { GatewayError } from './errors.ts'
import type { LedgerMeta, MetaProof } from './ledger-meta.ts'
import { readOrMake } from './ledger-secret.ts'

export type SignedState = { readonly note: string; readonly size: number; readonly verifierKey: string }

export type EntryProof = {
  readonly id: string
  readonly seq: number
  /** The entry's exact bytes, which are UTF-8. */
  readonly leaf: string
  /** C2SP tlog-proof, with the signed checkpoint. */
  readonly proof: string
  readonly verifierKey: string
  /** That the meta-log has the checkpoint of `proof`. */
  readonly meta?: MetaProof
  /** Why there is none. */
  readonly metaProblem?: string
}

/** A proof from the meta-log, or why there is none: what a log proves by itself does not wait for it. */
export type MetaProofOutcome = { readonly meta: MetaProof } | { readonly metaProblem: string }

export type LedgerKeys = {
  /** Signs the log as it is now. Undefined while it is empty. @throws AuditError AUDIT_ROLLED_BACK, AUDIT_FORKED */
  checkpoint(): Promise<SignedState | undefined>
  /** The last one, when it has this entry; else signs. What was witnessed is worth more than what is new. */
  covering(seq: number): Promise<SignedState | undefined>
  /** `seen`: the size of the meta-log that the reader remembers. */
  proveMeta(signed: SignedState, seen?: number): Promise<MetaProofOutcome>
  /** @throws GatewayError GATEWAY_UNKNOWN_ENTRY */
  prove(log: AuditLog, id: string): Promise<EntryProof>
  /** Signs at once, and then whenever the log has grown. @throws AuditError AUDIT_ROLLED_BACK, AUDIT_FORKED */
  run(options: {
    readonly intervalMs: number
    readonly signal: AbortSignal
    readonly onError: (error: unknown) => void
    /** A witness that did not cosign, or the meta-log (`meta-log`) that did not record. */
    readonly onMissing: (name: string, error: unknown) => void
  }): Promise<void>
}

export type WitnessConfig = {
  /** The submission prefix of C2SP tlog-witness. */
  readonly url: string
  /** Verifier key of the witness, which came another way than from it. */
  readonly key: string
}

export type LedgerKeysOptions = {
  readonly store: AuditStore
  readonly origin: string
  readonly file: string
  /** Asked to cosign each checkpoint. One that is away, or lies, delays nothing but its own signature. @default none */
  readonly witnesses?: readonly WitnessConfig[]
  /** Where each checkpoint is recorded. @default nowhere, as for the meta-log itself */
  readonly meta?: LedgerMeta
}

/** How often, and how long, to wait for a process that signs. Its first signature reads the whole log. */
const TURNS = 600
const TURN_MS = 50

/** Nothing is read, written or signed before it is asked for. The first signature reads the whole log, in turns with calls. */
export function createLedgerKeys({ store, origin, file, witnesses = [], meta }: LedgerKeysOptions): LedgerKeys {
  const breathing: AuditStore = {
    ...store,
    async entries(...range) {
      await breathe()
      return await store.entries(...range)
    },
  }
  let made: { readonly signer: NoteSigner; readonly publisher: Publisher } | undefined
  const open = () => {
    if (made !== undefined) return made
    const signer = createSigner({ name: origin, privateKey: privateKeyOf(file) })
    const places = file === ':memory:' ? [] : [placeOf(file)]
    const policy = policyWith(signer.verifierKey.text, witnesses)
    const asked = witnesses.map(({ url }) => createHttpWitness({ url }))
    return (made = {
      signer,
      publisher: createPublisher({
        store: breathing,
        signer,
        places,
        policy,
        witnesses: asked,
        ...(meta && { meta: meta.records }),
      }),
    })
  }
  const checkpoint = async (): Promise<SignedState | undefined> => {
    const { signer, publisher } = open()
    const published = await publishInTurn(publisher)
    if (published === undefined) return undefined
    return { note: published.note, size: published.checkpoint.size, verifierKey: signer.verifierKey.text }
  }
  /** Another process may be signing just now, and what is wanted is a checkpoint of what is there now. */
  const publishInTurn = async (publisher: Publisher): Promise<Published | undefined> => {
    for (let tries = 0; tries < TURNS; tries += 1) {
      const published = await publisher.publish()
      if (published !== undefined) return published
      const { size = 0 } = (await store.head(origin)) ?? {}
      if (size === 0) return undefined
      await sleep(TURN_MS)
    }
    throw new AuditError('AUDIT_STORE_BUSY', 'another process has been signing checkpoints all the while')
  }
  const covering = async (seq: number): Promise<SignedState | undefined> => {
    const last = await store.lastCheckpoint(origin)
    if (last === undefined || last.size <= seq) return await checkpoint()
    return { ...last, verifierKey: open().signer.verifierKey.text }
  }
  const proveMeta = async ({ size }: SignedState, seen?: number): Promise<MetaProofOutcome> => {
    if (meta === undefined) return { metaProblem: 'there is no meta-log' }
    try {
      return { meta: await meta.prove(origin, size, seen) }
    } catch (error) {
      return { metaProblem: error instanceof Error && 'code' in error ? String(error.code) : String(error) }
    }
  }
  return {
    checkpoint,
    covering,
    proveMeta,
    async run({ intervalMs, signal, onError, onMissing }) {
      const onPublished = ({ outcomes }: Published): void => {
        for (const { name, error } of outcomes) if (error !== undefined) onMissing(name, error)
      }
      if (!signal.aborted) await open().publisher.run({ intervalMs, signal, onError, onPublished })
    },
    async prove(log, id) {
      const seq = await log.find(id)
      const signed = seq === undefined ? undefined : await covering(seq)
      if (seq === undefined || signed === undefined || signed.size <= seq)
        throw new GatewayError('GATEWAY_UNKNOWN_ENTRY', 'there is no such entry in the audit log')
      const { leaf } = await log.entry(seq)
      const proof = await log.proveInclusion(seq, signed.size)
      const text = formatTlogProof({ index: seq, proof, checkpoint: signed.note })
      const { verifierKey } = signed
      return {
        id,
        seq,
        leaf: Buffer.from(leaf).toString('utf8'),
        proof: text,
        verifierKey,
        ...(await proveMeta(signed)),
      }
    },
  }
}

/** Cosignatures are kept when they verify; none is needed to publish, for then a witness could stop the log. */
function policyWith(logKey: string, witnesses: readonly WitnessConfig[]): TrustPolicy {
  const lines = witnesses.map(({ key }, index) => `witness w${index} ${key}`)
  return parsePolicy([`log ${logKey}`, ...lines, 'quorum none'].join('\n'))
}

/** Where the last checkpoint is kept besides the store. */
export function placeOf(file: string): CheckpointPlace {
  return createFilePlace({ directory: join(dirname(file), 'checkpoints') })
}

/** Whose signatures count for a log with a key beside it; undefined when it has none. */
export function policyOf(file: string, origin: string): TrustPolicy | undefined {
  if (file === ':memory:' || !existsSync(keyFileOf(file))) return undefined
  return trustLogs(createSigner({ name: origin, privateKey: privateKeyOf(file) }).verifierKey.text)
}

/** `audit.key` for a log of any name; the meta-log's stands beside that, under its own. */
function keyFileOf(file: string): string {
  return join(dirname(file), file.endsWith('audit-meta.db') ? 'audit-meta.key' : 'audit.key')
}

/** A name out of the key beside this file, which is made when it is not there. Another key is another name. */
export function nameOfKey(file: string): string {
  const spki = createPublicKey(privateKeyOf(file)).export({ type: 'spki', format: 'der' })
  return createHash('sha256').update(spki).digest('hex').slice(0, 16)
}

export function hasKey(file: string): boolean {
  return existsSync(keyFileOf(file))
}

function privateKeyOf(file: string): KeyObject {
  if (file === ':memory:') return generateKeyPairSync('ed25519').privateKey
  const make = () => generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' })
  return createPrivateKey(readOrMake(keyFileOf(file), make))
}
