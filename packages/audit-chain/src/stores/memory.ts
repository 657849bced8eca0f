/** A store for tests and try-outs: everything is gone with the process, so nothing that matters belongs in it. */
import { AuditError } from '../errors.ts'
import { dropFields } from '../field-pack.ts'
import { emptyHead } from '../head.ts'
import { MAX_READ, type AuditStore, type Erasure, type Head, type Sealed } from '../store.ts'

type Log = {
  head: Head
  readonly entries: { readonly seq: number; readonly id: string; readonly leaf: Uint8Array }[]
  readonly ids: Map<string, number>
  readonly nodes: Map<number, { readonly level: number; readonly index: number; readonly hash: Uint8Array }[]>
  readonly fields: Map<number, { readonly subject: string | undefined; readonly fields: Uint8Array }>
  readonly checkpoints: { readonly size: number; readonly note: string }[]
  readonly cursors: Map<string, number>
  isLed: boolean
}

export type MemoryStoreOptions = {
  /** Called with what was written. As in the other stores, what it throws undoes the batch. */
  readonly alongside?: (origin: string, sealed: Sealed) => void
}

export function createMemoryStore({ alongside }: MemoryStoreOptions = {}): AuditStore {
  const logs = new Map<string, Log>()

  const logOf = (origin: string): Log => {
    const known = logs.get(origin)
    if (known !== undefined) return known
    const log: Log = {
      head: emptyHead(origin),
      entries: [],
      ids: new Map(),
      nodes: new Map(),
      fields: new Map(),
      checkpoints: [],
      cursors: new Map(),
      isLed: false,
    }
    logs.set(origin, log)
    return log
  }

  return {
    async append(origin, seal) {
      const log = logOf(origin)
      const sealed = seal(log.head)
      const ids = new Set<string>()
      for (const { id } of sealed.entries) {
        if (log.ids.has(id) || ids.has(id))
          throw new AuditError('AUDIT_ID_TAKEN', `${origin} has an entry ${id} already`)
        ids.add(id)
      }
      alongside?.(origin, sealed)
      write(log, sealed)
    },
    head: async (origin) => logs.get(origin)?.head,
    origins: async (after = '') =>
      [...logs.keys()]
        .filter((origin) => origin > after)
        .sort()
        .slice(0, MAX_READ),
    entries: async (origin, from, to) => logs.get(origin)?.entries.slice(from, Math.min(to, from + MAX_READ)) ?? [],
    async nodes(origin, level, from, to) {
      return (
        logs
          .get(origin)
          ?.nodes.get(level)
          ?.slice(from, Math.min(to, from + MAX_READ)) ?? []
      )
    },
    find: async (origin, id) => logs.get(origin)?.ids.get(id),
    async fields(origin, from, to) {
      const log = logs.get(origin)
      const end = Math.min(to, log?.entries.length ?? 0)
      const found = []
      for (let seq = from; seq < end && found.length < MAX_READ; seq += 1) {
        const row = log?.fields.get(seq)
        if (row !== undefined) found.push({ seq, ...row })
      }
      return found
    },
    async bySubject(origin, subject, from) {
      const rows = [...(logs.get(origin)?.fields ?? [])]
      return rows.flatMap(([seq, row]) => (seq >= from && row.subject === subject ? [seq] : [])).slice(0, MAX_READ)
    },
    scrub: async () => {},
    async addCheckpoint(origin, checkpoint) {
      const { checkpoints } = logOf(origin)
      if (checkpoints.some(({ size }) => size === checkpoint.size)) return
      checkpoints.push(checkpoint)
      checkpoints.sort((a, b) => a.size - b.size)
    },
    async checkpoints(origin, fromSize) {
      return (
        logs
          .get(origin)
          ?.checkpoints.filter(({ size }) => size >= fromSize)
          .slice(0, MAX_READ) ?? []
      )
    },
    lastCheckpoint: async (origin) => logs.get(origin)?.checkpoints.at(-1),
    cursor: async (origin, follower) => logs.get(origin)?.cursors.get(follower) ?? 0,
    async cursors(origin) {
      const found = Array.from(logs.get(origin)?.cursors ?? [], ([follower, seq]) => ({ follower, seq }))
      return found.sort((a, b) => (a.follower < b.follower ? -1 : 1)).slice(0, MAX_READ)
    },
    async setCursor(origin, follower, seq) {
      logOf(origin).cursors.set(follower, seq)
    },
    async lead(origin) {
      const log = logOf(origin)
      if (log.isLed) return undefined
      log.isLed = true
      return {
        async [Symbol.asyncDispose]() {
          log.isLed = false
        },
      }
    },
  }
}

function write(log: Log, { entries, nodes, erasures, head }: Sealed): void {
  for (const { seq, id, leaf, subject, fields } of entries) {
    log.entries.push({ seq, id, leaf })
    log.ids.set(id, seq)
    if (fields !== undefined) log.fields.set(seq, { subject, fields })
  }
  for (const node of nodes) {
    const level = log.nodes.get(node.level)
    if (level === undefined) log.nodes.set(node.level, [node])
    else level.push(node)
  }
  for (const erasure of erasures) erase(log, erasure)
  log.head = head
}

function erase(log: Log, { from, to, names }: Erasure): void {
  for (let seq = from; seq < to; seq += 1) {
    const row = log.fields.get(seq)
    if (row === undefined) continue
    const rest = names === undefined ? undefined : dropFields(row.fields, names)
    if (rest === undefined) log.fields.delete(seq)
    else log.fields.set(seq, { subject: names?.includes('subject') ? undefined : row.subject, fields: rest })
  }
}
