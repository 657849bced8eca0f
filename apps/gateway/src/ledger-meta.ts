/**
 * The meta-log of a gateway's region: an entry for each checkpoint that one of its logs signed. It alone is shown to
 * witnesses, and it knows of each log what was signed last, when an older copy of that log knows less.
 *
 * It is opened with the first checkpoint, or with the first call of a tenant, which waits until it was read. No other call does.
 * One that cannot be opened, read or written is told and tried again: calls go on, and checkpoints of logs are signed, all the same.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { createMetaLog, formatTlogProof, type AuditStore, type MetaLog } from '@mcp-gateway/audit-chain'
import { GatewayError } from './errors.ts'
import { createLedgerKeys, nameOfKey, type LedgerKeys, type SignedState, type WitnessConfig } from './ledger-keys.ts'
import { openMetaFile } from './ledger-store.ts'

export type MetaProof = {
  /** The exact bytes of the meta-log's entry, which are UTF-8: origin, size and root of the checkpoint. */
  readonly entry: string
  /** C2SP tlog-proof, with the meta-log's signed checkpoint and its cosignatures. */
  readonly proof: string
  readonly verifierKey: string
  /** From the size that its reader remembers; absent when that is not asked for, or the same. */
  readonly consistency?: ConsistencyProof
}

export type ConsistencyProof = {
  readonly from: number
  readonly hashes: readonly Uint8Array[]
  readonly log?: string
  readonly to: number
}

export type OpenedMeta = Disposable & { readonly store: AuditStore; readonly origin: string }
export type ReadableMeta = { readonly store: AuditStore; readonly log: MetaLog['log'] }

export type LedgerMeta = AsyncDisposable & {
  /** Its file, or with PostgreSQL only the place of its key and kept checkpoint. */
  readonly file: string
  /** For the publishers of logs. */
  readonly records: Pick<MetaLog, 'last' | 'record'>
  /** @throws what opening it throws */
  read(): Promise<ReadableMeta>
  /** As `LedgerKeys.checkpoint`: its own, with the cosignatures of those who were asked. */
  checkpoint(): Promise<SignedState | undefined>
  /** That it has the checkpoint of this log and size, which it is to have. Signs when its own last one is older. */
  prove(origin: string, size: number, seen?: number): Promise<MetaProof>
  /** As `LedgerKeys.run`; opens it after one interval. */
  run: LedgerKeys['run']
}

export type LedgerMetaOptions = {
  readonly open: () => Promise<OpenedMeta>
  readonly file: string
  /** @default none */
  readonly witnesses?: readonly WitnessConfig[]
}

/** The meta-log in its file. It is called after its key: whoever removes the file gets the same log, and has lost its entries. */
export async function openMeta(file: string, region?: string): Promise<OpenedMeta> {
  return await openMetaFile(file, nameOfKey(file), region)
}

type Opened = OpenedMeta & { readonly meta: MetaLog; readonly keys: LedgerKeys }

export function createLedgerMeta({ open, file, witnesses = [] }: LedgerMetaOptions): LedgerMeta {
  let opening: Promise<Opened> | undefined
  const begin = async (): Promise<Opened> => {
    const opened = await open()
    const { store, origin } = opened
    const meta = createMetaLog({ store, origin })
    return { ...opened, meta, keys: createLedgerKeys({ store, origin, file, witnesses }) }
  }
  const opened = async (): Promise<Opened> => {
    const mine = (opening ??= begin())
    try {
      return await mine
    } catch (error) {
      // The next one who asks tries again; others who waited for this one may have begun to.
      if (opening === mine) opening = undefined
      throw error
    }
  }

  return {
    file,
    records: {
      last: async (origin) => await (await opened()).meta.last(origin),
      record: async (checkpoint) => await (await opened()).meta.record(checkpoint),
    },
    async read() {
      const { store, meta } = await opened()
      return { store, log: meta.log }
    },
    checkpoint: async () => await (await opened()).keys.checkpoint(),
    async prove(origin, size, seen = 0) {
      const { meta, keys } = await opened()
      const seq = await meta.find(origin, size)
      const signed = seq === undefined ? undefined : await keys.covering(seq)
      if (seq === undefined || signed === undefined)
        throw new GatewayError('GATEWAY_AUDIT_UNAVAILABLE', 'the meta-log has not recorded this checkpoint yet')
      const { leaf } = await meta.log.entry(seq)
      const proof = await meta.log.proveInclusion(seq, signed.size)
      const text = formatTlogProof({ index: seq, proof, checkpoint: signed.note })
      const { verifierKey } = signed
      const proven = { entry: Buffer.from(leaf).toString('utf8'), proof: text, verifierKey }
      const [from, to] = seen < signed.size ? [seen, signed.size] : [signed.size, seen]
      if (seen === 0 || from === to) return proven
      const hashes = await meta.log.proveConsistency(from, to)
      return { ...proven, consistency: { from, hashes, log: meta.origin, to } }
    },
    async run(options) {
      const { intervalMs, signal, onError } = options
      while (!signal.aborted) {
        await sleep(intervalMs, undefined, { signal }).catch(() => undefined) // Woken by the end.
        if (signal.aborted) return
        const known = await opened().catch(onError)
        if (known !== undefined) return await known.keys.run(options)
      }
    },
    async [Symbol.asyncDispose]() {
      const known = await opening?.catch(() => undefined) // Its caller has heard of it.
      await known?.meta[Symbol.asyncDispose]()
      known?.[Symbol.dispose]()
    },
  }
}
