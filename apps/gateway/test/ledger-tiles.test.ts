// tlog-tiles over HTTP: a reader that knows only RFC 6962 and the paths rebuilds the roots; nobody reads another's.
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RunningGateway } from '@mcp-gateway/gateway'
import { openLedger } from '@mcp-gateway/gateway/ledger'
import { folder, type Folder } from './ledger-support.ts'
import { echoServer, gatewayWith, modern, send } from './support.ts'

const key = (who: string) => `gw_test_${who}_0123456789abcdef0123456789abcdef`
const people = { audie: ['acme', 'auditor'], ada: ['acme', 'admin'], agent: ['acme', 'user'], other: ['globex', 'auditor'] } // prettier-ignore
const keys = Object.entries(people).map(([id, [tenantId, role]]) => ({ id, key: key(id), name: id, consumerId: id, roles: [role], tenantId })) // prettier-ignore
const config = { auth: { type: 'api-key', keys }, servers: [echoServer('one', { tenants: ['acme', 'globex'] })] }
const CALLS = 600
let place: Folder
let gateway: RunningGateway

const call = async (who: string) => {
  const request = modern('tools/call', { name: 'echo', arguments: { note: 'canary-of-a-call' } })
  const headers = { ...request.headers, authorization: `Bearer ${key(who)}` }
  expect((await send(gateway, '/mcp/server/one', { ...request, headers })).status).toBe(200)
}
const get = (path: string, who = 'audie') =>
  fetch(`${gateway.url}/api/audit/${path}`, { headers: { authorization: `Bearer ${key(who)}` } })
const bytesOf = async (path: string, who?: string) => {
  const answer = await get(path, who)
  expect([path, answer.status]).toEqual([path, 200])
  return Buffer.from(await answer.arrayBuffer())
}

beforeAll(async () => {
  place = folder()
  gateway = await gatewayWith(config, place.database)
  for (let i = 0; i < CALLS; i += 50) await Promise.all(Array.from({ length: 50 }, () => call('agent')))
  await call('other')
  for (const tenant of ['acme', 'globex']) {
    await using ledger = await openLedger({ file: join(place.path, 'tenants', tenant, 'audit.db'), meta: join(place.path, 'audit-meta.db') }) // prettier-ignore
    const signed = await ledger.keys.checkpoint()
    await ledger.meta.prove(ledger.log.origin, signed?.size ?? 0)
  }
})
afterAll(async () => {
  await gateway.close()
  place[Symbol.dispose]()
})

const sha256 = (...parts: readonly Uint8Array[]) => createHash('sha256').update(Buffer.concat(parts)).digest()
/** RFC 6962 §2.1, as it stands there. */
const mth = (hashes: readonly Buffer[]): Buffer => {
  if (hashes.length === 1) return hashes[0] ?? expect.fail()
  let k = 1
  while (k * 2 < hashes.length) k *= 2
  return sha256(Buffer.of(1), mth(hashes.slice(0, k)), mth(hashes.slice(k)))
}
const hashesOf = (tile: Buffer) =>
  Array.from({ length: tile.length / 32 }, (_, i) => tile.subarray(i * 32, i * 32 + 32))
const pathsFor = (size: number, level: string) => {
  const full = Array.from({ length: Math.floor(size / 256) }, (_, i) => `tile/${level}/${String(i).padStart(3, '0')}`)
  const rest = size % 256
  return rest === 0 ? full : [...full, `tile/${level}/${String(full.length).padStart(3, '0')}.p/${rest}`]
}
const rebuild = async (tree: string, who?: string) => {
  const note = (await bytesOf(`${tree}/checkpoint`, who)).toString()
  const [origin, size, root] = note.split('\n')
  const tiles = await Promise.all(pathsFor(Number(size), '0').map((path) => bytesOf(`${tree}/${path}`, who)))
  const leaves = tiles.flatMap(hashesOf)
  expect(leaves).toHaveLength(Number(size))
  expect(mth(leaves).toString('base64')).toBe(root)
  return { origin, size: Number(size), leaves }
}

describe('an independent reader', () => {
  it('rebuilds the root of its log from tiles, and from entries', async () => {
    const { size, leaves } = await rebuild('log')
    expect(size).toBeGreaterThan(CALLS)
    const bundles = await Promise.all(pathsFor(size, 'entries').map((path) => bytesOf(`log/${path}`)))
    const hashes: Buffer[] = []
    for (const bundle of bundles) {
      for (let at = 0; at < bundle.length;) {
        const end = at + 2 + bundle.readUInt16BE(at)
        hashes.push(sha256(Buffer.of(0), bundle.subarray(at + 2, end)))
        at = end
      }
    }
    expect(hashes.map((hash) => hash.toString('hex'))).toEqual(leaves.map((hash) => hash.toString('hex')))
    // What was said is not in it.
    expect(Buffer.concat(bundles).toString()).not.toContain('canary-of-a-call')
    const [first] = hashesOf(await bytesOf('log/tile/1/000.p/2'))
    expect(first?.toString('hex')).toBe(mth(leaves.slice(0, 256)).toString('hex'))
  })

  it('rebuilds the root of the meta-log, whose entries nobody gets', async () => {
    const { origin, size } = await rebuild('meta')
    expect(origin).toMatch(/^mcp-gateway\/meta\//)
    expect(size).toBe(2)
    for (const path of ['tile/entries/000.p/1', 'tile/entries/000.p/2', 'tile/entries/000'])
      expect((await get(`meta/${path}`)).status).toBe(404)
    expect((await rebuild('meta', 'other')).origin).toBe(origin)
  })

  it('each tenant has its own log at the same path', async () => {
    const [mine, theirs] = [await rebuild('log'), await rebuild('log', 'other')]
    expect(mine.origin).not.toBe(theirs.origin)
    expect(theirs.size).toBeLessThan(10)
  })
})

it('tiles may be kept for good by whoever asked, checkpoints not at all, and nothing by a cache in between', async () => {
  for (const [path, cache] of [
    ['log/checkpoint', 'no-cache'],
    ['log/tile/0/000', 'private, max-age=31536000, immutable'],
    ['log/tile/entries/000', 'private, max-age=31536000, immutable'],
    ['meta/tile/0/000.p/1', 'private, max-age=31536000, immutable'],
  ] as const) {
    const { headers, status } = await get(path)
    expect([path, status, headers.get('cache-control')]).toEqual([path, 200, cache])
    expect(headers.get('vary')).toContain('Authorization')
    expect(headers.get('content-type')).toBe(path.endsWith('checkpoint') ? 'text/plain; charset=utf-8' : 'application/octet-stream') // prettier-ignore
  }
})

it('is for auditors, and knows one spelling of each path', async () => {
  for (const tree of ['log', 'meta']) {
    for (const who of ['ada', 'agent']) expect((await get(`${tree}/checkpoint`, who)).status).toBe(403)
    expect((await fetch(`${gateway.url}/api/audit/${tree}/checkpoint`)).status).toBe(401)
    for (const path of [
      '',
      'x',
      'tile/0/0',
      'tile/00/000',
      'tile/64/000',
      'tile/0/999',
      'tile/0/000.p/256',
      'tile/0/000.p/0',
      'tile/0/%30%30%30x',
      'tile/0/../0/000x',
    ])
      // prettier-ignore
      expect([path, (await get(`${tree}/${path}`)).status]).toEqual([path, 404])
  }
  const { paths } = (await (await fetch(`${gateway.url}/openapi.json`)).json()) as { paths: object }
  expect(Object.keys(paths)).toEqual(expect.arrayContaining(['/api/audit/log/checkpoint', '/api/audit/log/tile/{level}/{index}', '/api/audit/log/tile/entries/{index}', '/api/audit/meta/checkpoint', '/api/audit/meta/tile/{level}/{index}'])) // prettier-ignore
  expect(Object.keys(paths)).not.toContain('/api/audit/meta/tile/entries/{index}')
})
