import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { readdirSync } from 'node:fs'
import {
  createCosigner,
  createFollower,
  createPublisher,
  createSigner,
  createTileServer,
  examineLog,
  formatTilePath,
  formatTlogProof,
  openLog,
  openLogSet,
  parseTilePath,
  readMetaEntry,
  type AuditStore,
  type FollowedEntry,
} from '@mcp-gateway/audit-chain'
import { createFilePlace } from '@mcp-gateway/audit-chain/anchors/file'
import { createObjectStorePlace } from '@mcp-gateway/audit-chain/anchors/object-store'
import { createHttpWitness } from '@mcp-gateway/audit-chain/anchors/witness'
import { createMemoryStore } from '@mcp-gateway/audit-chain/stores/memory'
import {
  compareCheckpoints,
  leafHash,
  parseCheckpoint,
  parseNote,
  parsePolicy,
  rootAt,
  trustLogs,
  verifyCheckpoint,
  verifyConsistency,
  verifyDisclosure,
  verifyTlogProof,
  type TrustPolicy,
} from '@mcp-gateway/audit-chain/verify'
import { describe, expect, test } from 'vitest'
import { scratch } from './support/sqlite.ts'

const ORIGIN = 'example.com/log'
const privateKey = generateKeyPairSync('ed25519').privateKey
const signer = createSigner({ name: ORIGIN, privateKey })

const grow = async (store: AuditStore, count: number, origin = ORIGIN): Promise<void> => {
  await using log = openLog({ store, origin, limits: { maxOutstanding: count } })
  await Promise.all(Array.from({ length: count }, () => log.append({ type: 'test' })))
}

/** A witness as C2SP tlog-witness wants it: remembers the last checkpoint and signs only what continues it. */
async function startWitness(name: string, trusted: TrustPolicy) {
  const cosigner = createCosigner({ name, privateKey: generateKeyPairSync('ed25519').privateKey })
  let seen: { size: number; rootHash: Uint8Array } | undefined
  let requests = 0
  const answer = async (body: string): Promise<[number, string]> => {
    requests += 1
    const [head = '', ...rest] = body.split('\n\n')
    const [oldLine = '', ...lines] = head.split('\n')
    const note = rest.join('\n\n')
    const { checkpoint } = verifyCheckpoint(note, trusted)
    if (checkpoint === undefined) return [403, '']
    const oldSize = Number(oldLine.replace('old ', ''))
    if (oldSize !== (seen?.size ?? 0)) return [409, `${seen?.size ?? 0}\n`]
    if (oldSize > checkpoint.size) return [400, '']
    const proof = lines.map((line) => Buffer.from(line, 'base64'))
    const { size, rootHash } = checkpoint
    const findings =
      seen === undefined ? [] : verifyConsistency({ oldSize, oldRootHash: seen.rootHash, size, rootHash, proof })
    if (findings.length > 0) return [422, '']
    seen = checkpoint
    return [200, await cosigner.sign(parseNote(note).text)]
  }
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      void answer(Buffer.concat(chunks).toString()).then(([status, body]) => response.writeHead(status).end(body))
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    vkey: cosigner.verifierKey.text,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: () => requests,
    forget: () => (seen = undefined),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

describe('publishing', () => {
  test('each checkpoint continues the last, and nothing new is not signed again', async () => {
    const store = createMemoryStore()
    const publisher = createPublisher({ store, signer })
    expect(await publisher.publish()).toBeUndefined()
    await grow(store, 300)
    const one = await publisher.publish()
    expect(await publisher.publish()).toMatchObject({ isNew: false, note: one?.note })
    await grow(store, 50)
    const two = await publisher.publish()
    await using log = openLog({ store, origin: ORIGIN })
    const proof = await log.proveConsistency(300, 350)
    expect(compareCheckpoints(one?.checkpoint ?? expect.fail(), two?.checkpoint ?? expect.fail(), proof)).toEqual([])
    expect((await store.checkpoints(ORIGIN, 0)).map(({ size }) => size)).toEqual([300, 350])
    // Another process, which has read nothing yet.
    await grow(store, 5)
    expect((await createPublisher({ store, signer }).publish())?.checkpoint.size).toBe(355)
    await grow(store, 5)
    expect((await publisher.publish())?.checkpoint.size).toBe(360)
  })

  test('another process that signs more while witnesses are asked ends nothing', async () => {
    using home = scratch()
    const place = createFilePlace({ directory: home.directory })
    const store = createMemoryStore()
    await grow(store, 3)
    const cosigner = createCosigner({ name: 'witness.example', privateKey: generateKeyPairSync('ed25519').privateKey })
    const policy = parsePolicy(`log ${signer.verifierKey.text}\nwitness w ${cosigner.verifierKey.text}\nquorum none\n`)
    /** A memory store leads one process; a SQLite file does not. */
    const unled: AuditStore = { ...store, lead: async () => ({ [Symbol.asyncDispose]: async () => undefined }) }
    let isFirst = true
    const witness = {
      name: 'slow',
      cosign: async ({ note }: { note: string }) => {
        if (isFirst) {
          isFirst = false
          await grow(store, 2)
          await createPublisher({ store: unled, signer, places: [place], policy }).publish()
        }
        return await cosigner.sign(parseNote(note).text)
      },
    }
    const publisher = createPublisher({ store: unled, signer, places: [place], policy, witnesses: [witness] })
    expect((await publisher.publish())?.checkpoint.size).toBe(3)
    expect(parseCheckpoint((await place.last(ORIGIN)) ?? '').size).toBe(5)
    expect((await store.lastCheckpoint(ORIGIN))?.size).toBe(5)
    await grow(store, 1)
    expect((await publisher.publish())?.note).toContain('witness.example')
  })

  test('two publishers, one at a time', async () => {
    const store = createMemoryStore()
    await grow(store, 10)
    const lease = await store.lead(ORIGIN)
    expect(await createPublisher({ store, signer }).publish()).toBeUndefined()
    await lease?.[Symbol.asyncDispose]()
    const publisher = createPublisher({ store, signer })
    const all = await Promise.all([publisher.publish(), publisher.publish()])
    expect(all.map((one) => one?.isNew)).toEqual([true, false])
  })

  test('a place keeps the last checkpoint over restarts, and refuses an older one', async () => {
    using home = scratch()
    const place = createFilePlace({ directory: home.directory })
    const store = createMemoryStore()
    await grow(store, 10)
    const published = await createPublisher({ store, signer, places: [place] }).publish()
    expect(await createFilePlace({ directory: home.directory }).last(ORIGIN)).toBe(published?.note)
    await expect(place.keep({ origin: ORIGIN, size: 9, rootHash: new Uint8Array(32), note: '' })).rejects.toMatchObject(
      {
        code: 'AUDIT_ROLLED_BACK',
      },
    )
    expect(readdirSync(home.directory).filter((name) => name.endsWith('.checkpoint'))).toHaveLength(1)
    // An empty store where something was signed before.
    await expect(
      createPublisher({ store: createMemoryStore(), signer, places: [place] }).publish(),
    ).rejects.toMatchObject({
      code: 'AUDIT_ROLLED_BACK',
    })
  })

  test('a bucket gives back the largest checkpoint, whatever was written last', async () => {
    const objects = new Map<string, Uint8Array>()
    const place = createObjectStorePlace({
      name: 'bucket',
      put: async (key, body) => void objects.set(key, body),
      first: async (prefix) => objects.get([...objects.keys()].filter((key) => key.startsWith(prefix)).sort()[0] ?? ''),
    })
    const store = createMemoryStore()
    const publisher = createPublisher({ store, signer, places: [place] })
    for (const count of [3, 100]) {
      await grow(store, count)
      await publisher.publish()
    }
    expect(parseCheckpoint((await place.last(ORIGIN)) ?? '').size).toBe(103)
    expect(objects.size).toBe(2)
  })

  test('after a change of keys the old key’s checkpoint still counts', async () => {
    const store = createMemoryStore()
    await grow(store, 10)
    await createPublisher({ store, signer }).publish()
    await grow(store, 10)
    const fresh = createSigner({ name: ORIGIN, privateKey: generateKeyPairSync('ed25519').privateKey })
    await expect(createPublisher({ store, signer: fresh }).publish()).rejects.toMatchObject({ code: 'AUDIT_FORKED' })
    const policy = trustLogs(signer.verifierKey.text, fresh.verifierKey.text)
    const published = await createPublisher({ store, signer: fresh, policy }).publish()
    expect(published?.checkpoint.size).toBe(20)
    expect((await examineLog({ store, origin: ORIGIN, policy })).findings).toEqual([])
  })

  test('run publishes until it is aborted, and tells errors', async () => {
    const store = createMemoryStore()
    await grow(store, 10)
    const stop = new AbortController()
    const [sizes, errors]: [number[], unknown[]] = [[], []]
    let isBroken = true
    const place = {
      name: 'flaky',
      last: async () => undefined,
      async keep() {
        if (isBroken) throw new Error('unplugged')
      },
    }
    const running = createPublisher({ store, signer, places: [place] }).run({
      intervalMs: 5,
      signal: stop.signal,
      onError: (error) => errors.push(error),
      onPublished: ({ checkpoint }) => sizes.push(checkpoint.size),
    })
    await expect.poll(() => errors.length).toBeGreaterThan(1)
    expect(await store.lastCheckpoint(ORIGIN)).toBeUndefined()
    isBroken = false
    await expect.poll(() => sizes.length).toBeGreaterThan(0)
    stop.abort()
    await running
    expect(sizes[0]).toBe(10)
  })
})

describe('witnesses', () => {
  test('cosignatures come over HTTP and satisfy the policy, also after the witness knew more than we', async () => {
    const trusted = trustLogs(signer.verifierKey.text)
    await using one = await startWitness('witness.example/1', trusted)
    await using two = await startWitness('witness.example/2', trusted)
    const policy = parsePolicy(
      `log ${signer.verifierKey.text}\nwitness A ${one.vkey}\nwitness B ${two.vkey}\ngroup both all A B\nquorum both\n`,
    )
    const store = createMemoryStore()
    const make = () =>
      createPublisher({
        store,
        signer,
        policy,
        witnesses: [createHttpWitness({ url: one.url }), createHttpWitness({ url: two.url })],
      })
    const publisher = make()
    for (const count of [10, 300]) {
      await grow(store, count)
      const published = await publisher.publish()
      const { findings, signatures } = verifyCheckpoint(published?.note ?? '', policy, ORIGIN)
      expect(findings).toEqual([])
      expect(signatures).toHaveLength(3)
    }
    expect(one.requests()).toBe(2)
    // A new process asks with size 0, is told 310, and proves from there.
    await grow(store, 1)
    expect((await make().publish())?.checkpoint.size).toBe(311)
    expect(one.requests()).toBe(4)
  })

  test('without a quorum nothing is published, and with an outage in a quorum of one it is', async () => {
    await using up = await startWitness('witness.example/1', trustLogs(signer.verifierKey.text))
    const down = createCosigner({ name: 'witness.example/2', privateKey: generateKeyPairSync('ed25519').privateKey })
    const store = createMemoryStore()
    await grow(store, 10)
    const text = `log ${signer.verifierKey.text}\nwitness A ${up.vkey}\nwitness B ${down.verifierKey.text}\n`
    const witnesses = [
      createHttpWitness({ url: up.url }),
      createHttpWitness({ url: 'http://127.0.0.1:1', timeoutMs: 500 }),
    ]
    const all = createPublisher({ store, signer, witnesses, policy: parsePolicy(`${text}group g all A B\nquorum g\n`) })
    await expect(all.publish()).rejects.toMatchObject({ code: 'AUDIT_ANCHOR_FAILED' })
    expect(await store.lastCheckpoint(ORIGIN)).toBeUndefined()
    const any = createPublisher({ store, signer, witnesses, policy: parsePolicy(`${text}group g any A B\nquorum g\n`) })
    const published = await any.publish()
    expect(published?.outcomes.map(({ error }) => (error as { code?: string } | undefined)?.code)).toEqual([
      undefined,
      'AUDIT_ANCHOR_FAILED',
    ])
  })

  test('a witness that does not know the log refuses', async () => {
    const other = createSigner({ name: ORIGIN, privateKey: generateKeyPairSync('ed25519').privateKey })
    await using witness = await startWitness('witness.example/1', trustLogs(other.verifierKey.text))
    const store = createMemoryStore()
    await grow(store, 3)
    const published = await createPublisher({
      store,
      signer,
      witnesses: [createHttpWitness({ url: witness.url })],
    }).publish()
    expect(published?.outcomes).toEqual([
      { name: witness.url, error: expect.objectContaining({ code: 'AUDIT_WITNESS_REFUSED' }) },
    ])
  })
})

describe('tlog-tiles', () => {
  test('parse(format(path)) ≡ path, and other spellings are no paths', () => {
    expect(formatTilePath({ kind: 'tile', level: 3, index: 1_234_067, width: 256 })).toBe('tile/3/x001/x234/067')
    expect(formatTilePath({ kind: 'entries', index: 0, width: 17 })).toBe('tile/entries/000.p/17')
    for (const path of [
      'checkpoint',
      'tile/0/000',
      'tile/63/x001/x234/067.p/255',
      'tile/entries/999.p/1',
      'tile/1/x001/000',
    ]) {
      const parsed = parseTilePath(path)
      expect(parsed && formatTilePath(parsed)).toBe(path)
    }
    for (const path of [
      '',
      '/checkpoint',
      'tile/64/000',
      'tile/00/000',
      'tile/0/0',
      'tile/0/x000/001',
      'tile/0/001/002',
      'tile/0/000.p/0',
      'tile/0/000.p/256',
      'tile/0/000.p/01',
      'tile/entries/../000',
      'tile/0/1000',
    ]) {
      expect([path, parseTilePath(path)]).toEqual([path, undefined])
    }
  })

  test('a client can rebuild the root and every entry from the tiles, and gets nothing that is not signed for', async () => {
    const store = createMemoryStore()
    await grow(store, 70_000)
    const published = await createPublisher({ store, signer }).publish()
    await grow(store, 10)
    await using log = openLog({ store, origin: ORIGIN })
    const serve = createTileServer({ log, store })
    const get = async (path: string): Promise<Buffer> => Buffer.from((await serve(path))?.body ?? expect.fail(path))
    expect((await get('checkpoint')).toString()).toBe(published?.note)
    // The shape that the specification gives for a tree of 70,000 leaves.
    for (const path of [
      'tile/0/272',
      'tile/0/273.p/112',
      'tile/1/000',
      'tile/1/001.p/17',
      'tile/2/000.p/1',
      'tile/entries/273.p/112',
    ]) {
      expect((await get(path)).length, path).toBeGreaterThan(0)
    }
    for (const path of [
      'tile/0/273',
      'tile/0/273.p/113',
      'tile/1/001',
      'tile/2/000',
      'tile/2/000.p/2',
      'tile/3/000.p/1',
      'tile/0/274.p/1',
      'other',
    ]) {
      expect([path, await serve(path)]).toEqual([path, undefined])
    }
    const root = await rootAt(async (level, index, width) => {
      const body = await get(formatTilePath({ kind: 'tile', level, index, width }))
      return Array.from({ length: width }, (_, i) => body.subarray(32 * i, 32 * i + 32))
    }, 70_000)
    expect(Buffer.from(root).equals(published?.checkpoint.rootHash ?? new Uint8Array())).toBe(true)

    const bundle = await get('tile/entries/273.p/112')
    const hashes = await get('tile/0/273.p/112')
    let at = 0
    for (let i = 0; i < 112; i += 1) {
      const length = bundle.readUInt16BE(at)
      expect(leafHash(bundle.subarray(at + 2, at + 2 + length)).equals(hashes.subarray(32 * i, 32 * i + 32))).toBe(true)
      at += 2 + length
    }
    expect(at).toBe(bundle.length)
  })
})

describe('a log for each tenant', () => {
  const nameKey = new Uint8Array(32).fill(7)

  test('names are stable, differ by tenant and region, and do not tell the tenant', () => {
    const set = openLogSet({ store: createMemoryStore(), prefix: 'gw.example.com/audit', region: 'eu', nameKey })
    const [acme, other] = [set.of('acme').origin, set.of('other').origin]
    expect(acme).toMatch(/^gw\.example\.com\/audit\/eu\/[0-9a-f]{32}$/)
    expect(acme).not.toBe(other)
    expect(set.of('acme')).toBe(set.of('acme'))
    const us = openLogSet({ store: createMemoryStore(), prefix: 'gw.example.com/audit', region: 'us', nameKey })
    expect(us.originOf('acme')).not.toBe(acme)
    expect(() => openLogSet({ store: createMemoryStore(), prefix: 'p', region: 'EU!', nameKey })).toThrow(TypeError)
  })

  test('open logs are limited: idle ones make room, busy ones do not', async () => {
    const store = createMemoryStore()
    await using set = openLogSet({ store, prefix: 'p', region: 'eu', nameKey, maxOpenLogs: 2 })
    const pending = [set.of('a').append({ type: 'test' }), set.of('b').append({ type: 'test' })]
    expect(() => set.of('c')).toThrow(expect.objectContaining({ code: 'AUDIT_BACKLOG_FULL' }))
    await Promise.all(pending)
    await set.of('c').append({ type: 'test' })
    await set.of('a').append({ type: 'test' })
    expect((await set.of('a').head()).size).toBe(2)
  })

  test('an entry is proven through its tenant’s checkpoint and the meta-log', async () => {
    const store = createMemoryStore()
    await using set = openLogSet({ store, prefix: 'gw.example.com/audit', region: 'eu', nameKey })
    const log = set.of('acme')
    for (let i = 0; i < 20; i += 1) await log.append({ type: 'tool.call', facts: { i } })
    const [tenantSigner, metaSigner] = [log.origin, set.meta.origin].map((name) => createSigner({ name, privateKey }))
    const tenant = await createPublisher({
      store,
      signer: tenantSigner ?? signer,
      meta: set.meta,
    }).publish()
    expect(tenant?.outcomes).toEqual([{ name: 'meta-log' }])
    const { seq } = (await set.meta.last(log.origin)) ?? expect.fail()
    const meta = await createPublisher({ store, signer: metaSigner ?? signer }).publish()

    const policy = trustLogs(...[tenantSigner, metaSigner].map((one) => one?.verifierKey.text ?? ''))
    const proof = formatTlogProof({ index: 7, proof: await log.proveInclusion(7, 20), checkpoint: tenant?.note ?? '' })
    const entry = verifyTlogProof(proof, (await log.entry(7)).leaf, policy, log.origin)
    expect(entry.findings).toEqual([])
    const { leaf } = await set.meta.log.entry(seq)
    const metaProof = formatTlogProof({
      index: seq,
      proof: await set.meta.log.proveInclusion(seq, 1),
      checkpoint: meta?.note ?? '',
    })
    expect(verifyTlogProof(metaProof, leaf, policy, set.meta.origin).findings).toEqual([])
    expect(compareCheckpoints(entry.checkpoint ?? expect.fail(), readMetaEntry(leaf))).toEqual([])
    expect(() => readMetaEntry((leaf as Buffer).subarray(0, 5))).toThrow()
  })
})

describe('followers', () => {
  test('every entry is handled, in order, over restarts and errors', async () => {
    const store = createMemoryStore()
    await grow(store, 1000)
    const seen: number[] = []
    let failures = 2
    const make = () =>
      createFollower({
        store,
        origin: ORIGIN,
        name: 'export',
        maxBatch: 100,
        async handle(entries) {
          if (seen.length === 300 && failures > 0) {
            failures -= 1
            throw new Error('sink is down')
          }
          seen.push(...entries.map(({ seq }) => seq))
        },
      })
    const { signal } = new AbortController()
    await expect(make().catchUp(signal)).rejects.toThrow('sink is down')
    await expect(make().catchUp(signal)).rejects.toThrow('sink is down')
    expect(await make().catchUp(signal)).toBe(700)
    expect(await make().catchUp(signal)).toBe(0)
    expect(seen).toEqual([...Array(1000).keys()])
  })

  test('fields come along, with what proves them, as long as they are not erased', async () => {
    const store = createMemoryStore()
    await using log = openLog({ store, origin: ORIGIN })
    for (const subject of ['ada', 'bob']) await log.append({ type: 'test', subject, fields: { args: subject } })
    await log.erase({ what: { subject: 'ada' }, reason: 'asked', by: 'key-7' })
    const seen: [number, string[]][] = []
    const handle = async (entries: readonly FollowedEntry[]) => {
      for (const { seq, leaf, fields } of entries) {
        seen.push([seq, fields.map(({ name }) => name)])
        for (const field of fields) expect(verifyDisclosure(leaf, field)).toEqual([])
      }
    }
    await createFollower({ store, origin: ORIGIN, name: 'export', handle }).catchUp(new AbortController().signal)
    expect(seen).toEqual([
      [0, []],
      [1, ['args', 'subject']],
      [2, []],
    ])
  })

  test('run follows a growing log until it is aborted, backing off after errors', async () => {
    const store = createMemoryStore()
    const stop = new AbortController()
    let count = 0
    const errors: unknown[] = []
    const running = createFollower({
      store,
      origin: ORIGIN,
      name: 'count',
      async handle(entries) {
        if (errors.length === 0) throw new Error('once')
        count += entries.length
      },
    }).run({ pollMs: 2, signal: stop.signal, onError: (error) => errors.push(error) })
    await grow(store, 300)
    await expect.poll(() => count).toBe(300)
    await grow(store, 300)
    await expect.poll(() => count).toBe(600)
    stop.abort()
    await running
    expect(errors).toHaveLength(1)
  })
})
