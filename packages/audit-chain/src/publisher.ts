/**
 * Signing what the log is. The publisher believes nobody, the store least: it reads every entry itself, once, and signs
 * only the root it has computed, when that continues the last checkpoint it knows of from any place. After a restored
 * backup it therefore refuses, and the thing to do is to open a new log that names the old one.
 */
import type { Anchor, CheckpointPlace, SignedCheckpoint, Witness } from './anchor.ts'
import { createChainVerifier, type ChainVerifier } from './chain.ts'
import { formatCheckpoint, signCheckpoint, verifyCheckpoint, type Checkpoint } from './checkpoint.ts'
import { AuditError } from './errors.ts'
import type { Finding } from './finding.ts'
import type { MetaLog } from './meta-log.ts'
import { parseSignature, verifySignatures, type VerifiedSignature } from './note.ts'
import { waitFor } from './pause.ts'
import { proveConsistency } from './prove.ts'
import type { NoteSigner } from './signer.ts'
import { MAX_READ, type AuditStore, type Head } from './store.ts'
import { readTileFrom } from './store-tiles.ts'
import { trustLogs, type TrustPolicy } from './trust-policy.ts'

export type PublisherOptions = {
  readonly store: AuditStore
  /** Its name is the origin of the log. */
  readonly signer: NoteSigner
  /** Where the last checkpoint is kept besides the store. Without one, a restored backup goes unnoticed here. */
  readonly places?: readonly CheckpointPlace[]
  readonly witnesses?: readonly Witness[]
  readonly anchors?: readonly Anchor[]
  /**
   * Where each checkpoint is recorded, and what else is asked what was signed before. A meta-log that fails stops nothing:
   * the failure is among the outcomes, and the next run records what is missing.
   */
  readonly meta?: Pick<MetaLog, 'last' | 'record'>
  /**
   * Whom earlier checkpoints may be signed by (after a change of keys, the old key too), and which cosignatures a checkpoint
   * needs to be published. @default the signer, and no witnesses
   */
  readonly policy?: TrustPolicy
}

export type Published = {
  readonly checkpoint: Checkpoint
  /** The signed note with its cosignatures. */
  readonly note: string
  /** False when nothing was appended since the last one. */
  readonly isNew: boolean
  /** What each witness, anchor and the meta-log said: evidence, or why there is none. */
  readonly outcomes: readonly AnchorOutcome[]
}

/** `name` is that of the witness or anchor, and `meta-log`. */
export type AnchorOutcome = { readonly name: string; readonly evidence?: Uint8Array; readonly error?: unknown }

export type Publisher = {
  /**
   * Signs the log as it is now. `undefined` when it is empty, or when another process publishes it.
   * @throws AuditError AUDIT_ROLLED_BACK, AUDIT_FORKED: the log does not continue what was signed before, and nothing is
   * signed any more; `cause` has the findings. AUDIT_ANCHOR_FAILED: the policy's quorum of witnesses was not reached.
   */
  publish(signal?: AbortSignal): Promise<Published | undefined>
  /** Publishes again and again until it is aborted. What goes wrong is told and tried again, but for a forked log. */
  run(options: {
    readonly intervalMs: number
    readonly signal: AbortSignal
    readonly onError: (error: unknown) => void
    readonly onPublished?: (published: Published) => void
  }): Promise<void>
}

const META_OUTCOME = 'meta-log'

export function createPublisher(options: PublisherOptions): Publisher {
  const { store, signer, places = [], witnesses = [], anchors = [], meta } = options
  const origin = signer.verifierKey.name
  const policy = options.policy ?? trustLogs(signer.verifierKey.text)
  const chain = createChainVerifier({ origin })
  let checkedSize = 0
  let running: Promise<Published | undefined> = Promise.resolve(undefined)

  const publishNow = async (signal?: AbortSignal): Promise<Published | undefined> => {
    const lease = await store.lead(origin)
    if (lease === undefined) return undefined
    await using _lease = lease
    const head = await store.head(origin)
    const known = await readKnown(signal)
    const checkpoint = head && (await check(chain, head, known, signal))
    if (checkpoint === undefined || checkpoint.size === 0) {
      if (known.length > 0) throw refuse([rolledBack(origin, known)])
      return undefined
    }
    const last = await store.lastCheckpoint(origin)
    const published =
      last?.size === checkpoint.size
        ? { checkpoint, note: last.note, isNew: false, outcomes: [] }
        : await sign(checkpoint, signal)
    // Also when nothing was signed: whoever signed it may have ended before it was recorded.
    return { ...published, outcomes: [...published.outcomes, ...(await record(checkpoint))] }
  }

  const record = async (checkpoint: Checkpoint): Promise<AnchorOutcome[]> => {
    if (meta === undefined) return []
    const outcome = await outcomeOf(META_OUTCOME, async () => {
      await meta.record(checkpoint)
      return undefined
    })
    return [outcome]
  }

  /** The last checkpoint of every place, verified: of the store too, which may be the older one, and of the meta-log. */
  const readKnown = async (signal?: AbortSignal): Promise<Checkpoint[]> => {
    const notes = await Promise.all(places.map((place) => place.last(origin, signal)))
    notes.push((await store.lastCheckpoint(origin))?.note)
    // One that cannot be read is told when it is written to.
    const recorded = await meta?.last(origin).catch(() => undefined)
    const known = notes.flatMap((note) => {
      if (note === undefined) return []
      const { checkpoint, findings } = verifyCheckpoint(note, { ...policy, isQuorum: () => true }, origin)
      if (checkpoint === undefined) throw refuse(findings)
      return [checkpoint]
    })
    return recorded === undefined ? known : [...known, recorded.checkpoint]
  }

  const check = async (
    verifier: ChainVerifier,
    head: Head,
    known: readonly Checkpoint[],
    signal?: AbortSignal,
  ): Promise<Checkpoint> => {
    for (const checkpoint of known) if (checkpoint.size >= checkedSize) verifier.expect(checkpoint)
    while (checkedSize < head.size) {
      signal?.throwIfAborted()
      const rows = await store.entries(origin, checkedSize, Math.min(checkedSize + MAX_READ, head.size))
      for (const { seq, leaf } of rows) verifier.add(leaf, seq)
      if (rows.length === 0) break
      checkedSize = (rows.at(-1)?.seq ?? checkedSize) + 1
    }
    const { findings, size, rootHash } = verifier.finish(head)
    if (findings.length > 0) throw refuse(findings)
    return { origin, size, rootHash }
  }

  const sign = async (checkpoint: Checkpoint, signal?: AbortSignal): Promise<Published> => {
    const signed = { ...checkpoint, note: await signCheckpoint(checkpoint, signer) }
    // Kept before anybody sees it: a signature that nobody remembers could be contradicted.
    await Promise.all(places.map((place) => keep(place, signed, signal)))
    const { note, outcomes } = await cosign(signed, signal)
    const cosigned = { ...signed, note }
    // A place that has gone on meanwhile needs no cosignatures of this one.
    if (note !== signed.note) await Promise.all(places.map((place) => keep(place, cosigned, signal).catch(unlessBusy)))
    await store.addCheckpoint(origin, { size: checkpoint.size, note })
    const anchored = await Promise.all(
      anchors.map((anchor) => outcomeOf(anchor.name, () => anchor.anchor(cosigned, signal))),
    )
    return { checkpoint, note, isNew: true, outcomes: [...outcomes, ...anchored] }
  }

  const cosign = async (
    signed: SignedCheckpoint,
    signal?: AbortSignal,
  ): Promise<{ note: string; outcomes: AnchorOutcome[] }> => {
    const readTile = readTileFrom(store, origin)
    const prove = (oldSize: number): Promise<readonly Uint8Array[]> => proveConsistency(readTile, oldSize, signed.size)
    const lines: string[] = []
    const outcomes = await Promise.all(
      witnesses.map((witness) =>
        outcomeOf(witness.name, async () => {
          const said = await witness.cosign(signed, prove, signal)
          lines.push(...validLines(said, signed, policy))
          return Buffer.from(said)
        }),
      ),
    )
    const cosigners = lines.flatMap((line) => verified(line, signed, policy)).map(({ key }) => key.text)
    if (!policy.isQuorum(new Set(cosigners))) {
      const message = `${cosigners.length} of ${witnesses.length} witnesses cosigned size ${signed.size}, which is no quorum`
      const errors = outcomes.flatMap(({ error }) => (error === undefined ? [] : [error]))
      throw new AuditError('AUDIT_ANCHOR_FAILED', message, { cause: new AggregateError(errors, message) })
    }
    return { note: signed.note + [...new Set(lines)].join(''), outcomes }
  }

  const publish = async (signal?: AbortSignal): Promise<Published | undefined> => {
    // One after the other: both would read the same entries.
    const before = running
    running = (async () => {
      await before.catch(() => undefined) // Its own caller has heard of it.
      return await publishNow(signal)
    })()
    return await running
  }

  return {
    publish,
    async run({ intervalMs, signal, onError, onPublished }) {
      while (!signal.aborted) {
        try {
          const published = await publish(signal)
          if (published !== undefined) onPublished?.(published)
        } catch (error) {
          if (signal.aborted) return
          onError(error)
          if (error instanceof AuditError && (error.code === 'AUDIT_FORKED' || error.code === 'AUDIT_ROLLED_BACK'))
            throw error
        }
        await waitFor(intervalMs, signal)
      }
    },
  }
}

/**
 * Where no lease keeps processes apart (a SQLite file), another may have signed more meanwhile. That is no reason to stop for
 * good: whether the log was rolled back, the next run finds out from all that is known then.
 */
async function keep(place: CheckpointPlace, signed: SignedCheckpoint, signal?: AbortSignal): Promise<void> {
  try {
    await place.keep(signed, signal)
  } catch (error) {
    if (!(error instanceof AuditError) || error.code !== 'AUDIT_ROLLED_BACK') throw error
    throw new AuditError('AUDIT_STORE_BUSY', `another process has signed meanwhile: ${error.message}`, { cause: error })
  }
}

function unlessBusy(error: unknown): void {
  if (!(error instanceof AuditError) || error.code !== 'AUDIT_STORE_BUSY') throw error
}

async function outcomeOf(name: string, work: () => Promise<Uint8Array | undefined>): Promise<AnchorOutcome> {
  try {
    const evidence = await work()
    return { name, ...(evidence && { evidence }) }
  } catch (error) {
    return { name, error }
  }
}

/** Cosignatures by witnesses of the policy that verify; what else a witness sends is not ours to publish. */
function validLines(said: string, signed: SignedCheckpoint, policy: TrustPolicy): string[] {
  const lines = said
    .split('\n')
    .slice(0, 16)
    .filter((line) => line !== '')
  return lines.map((line) => `${line}\n`).filter((line) => verified(line, signed, policy).length > 0)
}

function verified(line: string, signed: SignedCheckpoint, policy: TrustPolicy): VerifiedSignature[] {
  const note = { text: formatCheckpoint(signed), signatures: [parseSignature(line.trimEnd())] }
  return verifySignatures(note, [...policy.witnesses.values()]).verified
}

function rolledBack(origin: string, known: readonly Checkpoint[]): Finding {
  const size = Math.max(...known.map((checkpoint) => checkpoint.size))
  return {
    code: 'ROLLED_BACK',
    origin,
    seq: 0,
    message: `the log is empty, and a checkpoint of size ${size} was signed`,
  }
}

function refuse(findings: readonly Finding[]): AuditError {
  const code = findings.some((finding) => finding.code === 'ROLLED_BACK') ? 'AUDIT_ROLLED_BACK' : 'AUDIT_FORKED'
  const more = findings.length > 1 ? ` (and ${findings.length - 1} more findings)` : ''
  return new AuditError(code, `nothing is signed: ${findings[0]?.message ?? 'unknown'}${more}`, { cause: findings })
}
