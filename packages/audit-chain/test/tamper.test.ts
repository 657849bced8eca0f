// What somebody who administers the database can do to it, done to real files. Each has to be found, by the examination
// alone where the log contradicts itself, and else with a checkpoint that was kept elsewhere.
import { copyFileSync } from 'node:fs'
import { generateKeyPairSync } from 'node:crypto'
import {
  createPublisher,
  createSigner,
  examineLog,
  openLog,
  signCheckpoint,
  type Examination,
  type Finding,
} from '@mcp-gateway/audit-chain'
import { createFilePlace } from '@mcp-gateway/audit-chain/anchors/file'
import { createMemoryStore } from '@mcp-gateway/audit-chain/stores/memory'
import {
  compareCheckpoints,
  createChainVerifier,
  trustLogs,
  verifyChain,
  verifyCheckpoint,
  verifyConsistency,
} from '@mcp-gateway/audit-chain/verify'
import fc from 'fast-check'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, describe, expect, test } from 'vitest'
import { administer, open, scratch } from './support/sqlite.ts'

const ORIGIN = 'gw.example.com/audit/eu/8f3c'
const SIZE = 600
const signer = createSigner({ name: ORIGIN, privateKey: generateKeyPairSync('ed25519').privateKey })
const policy = trustLogs(signer.verifierKey.text)

const home = scratch()
afterAll(() => home[Symbol.dispose]())
/** An honest log of 600 entries with fields, an erasure, and checkpoints at 300 and 601. */
const { notes } = await (async () => {
  await using opened = open(home.path, ORIGIN, { maxBatchEntries: 50 })
  const { log, store } = opened
  const publisher = createPublisher({ store, signer })
  const append = async (count: number): Promise<void> => {
    const call = (i: number) => ({
      type: 'tool.call',
      id: `call-${i}`,
      facts: { tool: 'search', latencyMs: i },
      ...(i % 3 === 0 && { subject: `person-${i % 7}`, fields: { args: `{"q":${i}}`, response: `answer ${i}` } }),
    })
    const { size } = await log.head()
    await Promise.all(Array.from({ length: count }, (_, i) => log.append(call(size + i))))
  }
  await append(300)
  const first = await publisher.publish()
  await append(SIZE - 300)
  await log.erase({ what: { subject: 'person-3' }, reason: 'asked', by: 'test' })
  const second = await publisher.publish()
  return { notes: [first?.note ?? '', second?.note ?? ''] as const }
})()

const examine = async (path: string, remembered: readonly string[] = [], withPolicy = true): Promise<Examination> => {
  await using opened = open(path, ORIGIN)
  return await examineLog({ store: opened.store, origin: ORIGIN, remembered, ...(withPolicy && { policy }) })
}

/** What is found after an administrator's statements on a copy of the file. */
const after = async (
  statements: Parameters<typeof administer>[1][],
  options: { remembered?: readonly string[]; withPolicy?: boolean } = {},
): Promise<readonly Finding[]> => {
  using copy = scratch()
  copyFileSync(home.path, copy.path)
  administer(copy.path, ...statements)
  return (await examine(copy.path, options.remembered, options.withPolicy)).findings
}

const found = (findings: readonly Finding[], code: string): Finding | undefined =>
  findings.find((one) => one.code === code)

test('an honest log has no findings, with and without keys', async () => {
  const examination = await examine(home.path, notes)
  expect(examination).toMatchObject({ findings: [], size: SIZE + 1, signedSize: SIZE + 1, rememberedSize: SIZE + 1 })
  expect((await examine(home.path, [], false)).findings).toEqual([])
})

const leavesOf = (path: string): Uint8Array[] => {
  using database = new DatabaseSync(path)
  return database
    .prepare('select leaf from audit_entry order by seq')
    .all()
    .map(({ leaf }) => leaf as Uint8Array)
}
const flip = (bytes: Uint8Array, at: number, bits: number): Uint8Array => {
  const changed = Uint8Array.from(bytes)
  changed[at % changed.length] = (changed[at % changed.length] as number) ^ bits
  return changed
}

describe('one entry', () => {
  test.each([0, 1, 299, 300, 598, 600])('a changed fact of entry %i is found, and it is named', async (seq) => {
    const findings = await after([
      [
        `update audit_entry set leaf = cast(replace(cast(leaf as text), 'tool.call', 'tool.cull') as blob) where seq = ?`,
        seq,
      ],
      [
        `update audit_entry set leaf = cast(replace(cast(leaf as text), '"asked"', '"asket"') as blob) where seq = ?`,
        seq,
      ],
    ])
    expect(found(findings, 'ENTRY_CHANGED')).toMatchObject({ seq, origin: ORIGIN })
    expect(found(findings, 'ENTRY_CHANGED')?.message).toContain(`entry ${seq} was changed`)
    expect(found(findings, 'HISTORY_REWRITTEN')).toBeDefined()
  })

  test.each([1, 299, 600])('a changed `prev` of entry %i is found there', async (seq) => {
    const findings = await after([
      [
        `update audit_entry set leaf = cast(replace(cast(leaf as text), '"prev":"', '"prev":"0') as blob) where seq = ?`,
        seq,
      ],
    ])
    expect(found(findings, 'ENTRY_MALFORMED')).toMatchObject({ seq })
    expect(found(findings, 'ENTRY_CHANGED')).toBeDefined()
  })

  test('any one changed byte of any entry in the file ≡ a finding at that entry', { timeout: 120_000 }, async () => {
    using copy = scratch()
    copyFileSync(home.path, copy.path)
    const leaves = leavesOf(copy.path)
    const write = (leaf: Uint8Array, seq: number): void =>
      administer(copy.path, ['update audit_entry set leaf = ? where seq = ?', leaf, seq])
    await fc.assert(
      fc.asyncProperty(fc.nat(SIZE), fc.nat(), fc.integer({ min: 1, max: 255 }), async (seq, at, bits) => {
        const original = leaves[seq] as Uint8Array
        write(flip(original, at, bits), seq)
        const { findings } = await examine(copy.path, [], false)
        write(original, seq)
        expect(findings.filter((finding) => Math.abs((finding.seq ?? -9) - seq) <= 1)).not.toEqual([])
      }),
      { numRuns: 40 },
    )
    expect((await examine(copy.path, notes)).findings).toEqual([])
  })

  test('any one changed byte of any entry ≡ a finding at that entry', { timeout: 120_000 }, () => {
    const leaves = leavesOf(home.path).slice(0, 12)
    const { lastHash, findings } = verifyChain(leaves, { origin: ORIGIN })
    expect(findings).toEqual([])
    const head = { size: leaves.length, lastHash }
    fc.assert(
      fc.property(fc.nat(leaves.length - 1), fc.nat(), fc.integer({ min: 1, max: 255 }), (seq, at, bits) => {
        const verifier = createChainVerifier({ origin: ORIGIN })
        for (const [i, leaf] of leaves.entries()) verifier.add(i === seq ? flip(leaf, at, bits) : leaf)
        const found = verifier.finish(head).findings
        expect(
          found.filter((finding) => finding.code === 'ENTRY_CHANGED' && Math.abs((finding.seq ?? -9) - seq) <= 1),
        ).not.toEqual([])
      }),
      { numRuns: 10_000 },
    )
  })

  test('a deleted entry is missing, and it is named', async () => {
    const findings = await after(['delete from audit_entry where seq = 123'])
    expect(found(findings, 'ENTRY_MISSING')).toMatchObject({ seq: 123, message: 'entry 123 is missing' })
  })

  test('an inserted entry is misplaced', async () => {
    const findings = await after([
      'update audit_entry set key = key + 1000 where seq >= 123',
      'update audit_entry set key = key - 999 where seq >= 1000',
      `insert into audit_entry select key + 1, 'forged', leaf from audit_entry where seq = 122`,
    ])
    expect(found(findings, 'ENTRY_MISPLACED')).toMatchObject({ seq: 123 })
    expect(found(findings, 'INDEX_CHANGED')).toMatchObject({ seq: 123 })
  })

  test('an entry behind the end is unknown', async () => {
    const findings = await after([
      `insert into audit_entry select key + 479, 'forged', leaf from audit_entry where seq = 122`,
    ])
    expect(found(findings, 'ENTRY_UNKNOWN')).toMatchObject({ seq: 601, id: 'forged' })
  })

  test('two swapped entries are both named', async () => {
    const findings = await after([
      'update audit_entry set key = key + 8950 where seq = 50',
      'update audit_entry set key = key - 1 where seq = 51',
      'update audit_entry set key = key - 8949 where seq = 9000',
    ])
    expect(findings.filter(({ code }) => code === 'ENTRY_MISPLACED').map(({ seq }) => seq)).toEqual([50, 51])
  })

  test('an entry under another id is found', async () => {
    const findings = await after([`update audit_entry set id = 'other' where seq = 7`])
    expect(findings).toEqual([expect.objectContaining({ code: 'INDEX_CHANGED', seq: 7, id: 'call-7' })])
  })
})

describe('every column of every other table', () => {
  test.each([
    ['audit_log.size', 'update audit_log set size = size - 1', 'ENTRY_UNKNOWN'],
    ['audit_log.size', 'update audit_log set size = size + 1', 'ENTRY_MISSING'],
    ['audit_log.last_hash', `update audit_log set last_hash = zeroblob(32)`, 'ENTRY_CHANGED'],
    ['audit_log.nodes', `update audit_log set nodes = zeroblob(length(nodes))`, 'HEAD_CHANGED'],
    ['audit_log.last_at', 'update audit_log set last_at = last_at + 1', 'HEAD_CHANGED'],
    ['audit_node.hash', 'update audit_node set hash = zeroblob(32) where idx = 1', 'NODE_CHANGED'],
    ['audit_node.idx', 'update audit_node set idx = 7 where idx = 1', 'NODE_CHANGED'],
    ['audit_node.level', 'update audit_node set level = 2 where idx = 1', 'NODE_CHANGED'],
    ['audit_node', 'delete from audit_node', 'NODE_CHANGED'],
    [
      'audit_field.fields',
      `update audit_field set fields = cast(replace(cast(fields as blob), 'answer', 'onswer') as blob) where seq = 9`,
      'FIELD_CHANGED',
    ],
    ['audit_field.fields', `update audit_field set fields = x'ff' where seq = 9`, 'FIELD_CHANGED'],
    ['audit_field.subject', `update audit_field set subject = 'person-0' where seq = 9`, 'INDEX_CHANGED'],
    ['audit_field.key', 'update audit_field set key = key + 1 where seq = 9', 'FIELD_MISSING'],
    ['audit_field', 'delete from audit_field where seq = 9', 'FIELD_MISSING'],
    ['audit_checkpoint.size', 'update audit_checkpoint set size = 299 where size = 300', 'INDEX_CHANGED'],
    [
      'audit_checkpoint.note',
      `update audit_checkpoint set note = replace(note, '300', '301') where size = 300`,
      'SIGNATURE_INVALID',
    ],
    ['audit_checkpoint.note', `update audit_checkpoint set note = 'nothing' where size = 300`, 'NOTE_MALFORMED'],
  ])('%s: %s', async (_, statement, code) => {
    const findings = await after([statement])
    expect(findings.map((one) => one.code)).toContain(code)
  })

  test('erased values that are put back are found', async () => {
    const findings = await after([
      `insert into audit_field select key - 6, subject, fields from audit_field where seq = 9`,
    ])
    expect(found(findings, 'FIELD_NOT_ERASED')).toMatchObject({ seq: 3 })
  })
})

/** Keeps the first `size` entries and makes everything agree with that, as a careful forger would. */
const cutTo = async (path: string, size: number, change: (i: number) => string): Promise<void> => {
  using database = new DatabaseSync(path)
  const rows = database.prepare('select id, leaf from audit_entry where seq < ? order by seq').all(size) as {
    id: string
    leaf: Uint8Array
  }[]
  const forged = createMemoryStore()
  await using log = openLog({ store: forged, origin: ORIGIN, limits: { maxBatchEntries: 1 } })
  for (const [i, { id }] of rows.entries()) await log.append({ type: 'tool.call', id, facts: { tool: change(i) } })
  administer(
    path,
    'delete from audit_entry',
    'delete from audit_node',
    'delete from audit_field',
    'delete from audit_checkpoint',
  )
  const head = await log.head()
  administer(path, [
    'update audit_log set size = ?, last_hash = ?, last_at = ?, nodes = ?',
    head.size,
    head.lastHash,
    head.lastAt,
    head.nodes,
  ])
  for (const { seq, id, leaf } of await forged.entries(ORIGIN, 0, size)) {
    administer(path, ['insert into audit_entry values ((1 << 40) + ?, ?, ?)', seq, id, leaf])
  }
  for (const { level, index, hash } of await forged.nodes(ORIGIN, 1, 0, 100)) {
    administer(path, ['insert into audit_node values (1, ?, ?, ?)', level, index, hash])
  }
}

describe('the whole log', () => {
  test('a dropped tail is found by the head, and with the head by the checkpoint', async () => {
    const tail = [
      'delete from audit_entry where seq >= 500',
      'delete from audit_field where seq >= 500',
      'delete from audit_node where idx >= 1',
    ]
    const byHead = await after(tail)
    expect(found(byHead, 'ENTRY_MISSING')).toMatchObject({ seq: 500 })
    expect(found(byHead, 'ROLLED_BACK')).toMatchObject({ seq: 500 })
  })

  test('a restored older copy agrees with itself, and not with a remembered checkpoint', async () => {
    using copy = scratch()
    {
      await using opened = open(copy.path, ORIGIN)
      for (let i = 0; i < 300; i += 1) await opened.log.append({ type: 'tool.call', facts: { i } })
      await createPublisher({ store: opened.store, signer }).publish()
    }
    using older = scratch()
    copyFileSync(copy.path, older.path)
    let remembered = ''
    {
      await using opened = open(copy.path, ORIGIN)
      for (let i = 0; i < 50; i += 1) await opened.log.append({ type: 'tool.call', facts: { i } })
      remembered = (await createPublisher({ store: opened.store, signer }).publish())?.note ?? ''
    }
    expect((await examine(copy.path, [remembered])).findings).toEqual([])
    expect((await examine(older.path)).findings).toEqual([])
    const { findings } = await examine(older.path, [remembered])
    expect(findings).toEqual([expect.objectContaining({ code: 'ROLLED_BACK', seq: 300 })])
    expect(findings[0]?.message).toContain('entries 300 to 349 are gone')
  })

  test(
    'a chain that was re-hashed as a whole agrees with itself, and not with what was signed',
    { timeout: 60_000 },
    async () => {
      using copy = scratch()
      copyFileSync(home.path, copy.path)
      await cutTo(copy.path, 305, (i) => (i === 304 ? 'forged' : 'search'))
      expect((await examine(copy.path)).findings).toEqual([])
      const { findings } = await examine(copy.path, [notes[0]])
      expect(found(findings, 'HISTORY_REWRITTEN')).toMatchObject({ seq: 0 })
      expect(found((await examine(copy.path, [notes[1]])).findings, 'ROLLED_BACK')).toBeDefined()
      // With the checkpoints that lie in the database, too.
      administer(copy.path, ['insert into audit_checkpoint values (1, 300, ?)', notes[0]])
      expect(found((await examine(copy.path)).findings, 'HISTORY_REWRITTEN')).toBeDefined()
    },
  )

  test('a forged checkpoint is not signed by the log', async () => {
    const forger = createSigner({ name: ORIGIN, privateKey: generateKeyPairSync('ed25519').privateKey })
    const note = await signCheckpoint({ origin: ORIGIN, size: 601, rootHash: new Uint8Array(32) }, forger)
    const findings = await after([['update audit_checkpoint set note = ? where size = 601', note]])
    expect(found(findings, 'SIGNATURE_MISSING')).toBeDefined()
  })

  test('two histories for two readers: neither can be led to the other', async () => {
    const reader = async (word: string, size: number, at: number) => {
      const store = createMemoryStore()
      const log = openLog({ store, origin: ORIGIN, clock: () => at })
      for (let i = 0; i < size; i += 1)
        await log.append({ type: 'tool.call', id: `${i}`, facts: { i, ...(i === 20 && { word }) } })
      const note = await signCheckpoint({ origin: ORIGIN, size, rootHash: await log.rootHash(size) }, signer)
      return { log, checkpoint: verifyCheckpoint(note, policy).checkpoint ?? expect.fail('signed') }
    }
    const [one, other, longer] = [await reader('yes', 40, 1), await reader('no', 40, 1), await reader('no', 50, 2)]
    expect(compareCheckpoints(one.checkpoint, other.checkpoint)).toEqual([
      expect.objectContaining({ code: 'SPLIT_VIEW', origin: ORIGIN }),
    ])
    const proof = await longer.log.proveConsistency(40, 50)
    expect(compareCheckpoints(one.checkpoint, longer.checkpoint, proof)).toEqual([
      expect.objectContaining({ code: 'CONSISTENCY_UNPROVEN' }),
    ])
    expect(compareCheckpoints(other.checkpoint, longer.checkpoint, proof).length).toBe(1) // its clock made other times
    expect(
      verifyConsistency({
        oldSize: 40,
        oldRootHash: await longer.log.rootHash(40),
        size: 50,
        rootHash: longer.checkpoint.rootHash,
        proof,
      }),
    ).toEqual([])
  })

  test('the publisher signs nothing over a log that was changed or rolled back', async () => {
    using copy = scratch()
    using elsewhere = scratch()
    copyFileSync(home.path, copy.path)
    const place = createFilePlace({ directory: elsewhere.directory })
    await place.keep({ origin: ORIGIN, size: 601, rootHash: new Uint8Array(32), note: notes[1] })
    administer(
      copy.path,
      `update audit_entry set leaf = cast(replace(cast(leaf as text), 'search', 'sxarch') as blob) where seq = 400`,
    )
    {
      await using opened = open(copy.path, ORIGIN)
      await opened.log.append({ type: 'tool.call' })
      const publisher = createPublisher({ store: opened.store, signer, places: [place] })
      await expect(publisher.publish()).rejects.toMatchObject({
        code: 'AUDIT_FORKED',
        message: expect.stringContaining('entry 400 was changed'),
      })
      await expect(publisher.publish()).rejects.toMatchObject({ code: 'AUDIT_FORKED' })
    }
    using shorter = scratch()
    copyFileSync(home.path, shorter.path)
    await cutTo(shorter.path, 20, () => 'search')
    await using opened = open(shorter.path, ORIGIN)
    const publisher = createPublisher({ store: opened.store, signer, places: [place] })
    await expect(publisher.publish()).rejects.toMatchObject({ code: 'AUDIT_ROLLED_BACK' })
    expect(await opened.store.lastCheckpoint(ORIGIN)).toBeUndefined()
  })
})
