// Against s3rver, a server from npm that speaks S3, as a process that is killed.
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { GetObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createS3Sink, type S3SinkOptions } from '@mcp-gateway/audit-chain/sinks/s3'
import { arrived, entriesOf, follow, followAndDie, logOf, never, upTo } from './support/exports.ts'
import { freePort } from '../../../test/support/free-port.ts'
import { processAt, type Process } from './support/process.ts'
import { scratch, type Scratch } from './support/sqlite.ts'

const credentials = { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' }
let home: Scratch
let server: Process
let reader: S3Client
let options: S3SinkOptions

beforeAll(async () => {
  home = scratch()
  const port = await freePort()
  const program = fileURLToPath(import.meta.resolve('s3rver')).replace(/lib\/.*$/, 'bin/s3rver.js')
  server = processAt(port, process.execPath, [program, '-d', home.directory, '-p', String(port), '-a', '127.0.0.1', '--configure-bucket', 'audit']) // prettier-ignore
  await server.start()
  const endpoint = `http://127.0.0.1:${port}`
  options = { bucket: 'audit', region: 'us-east-1', endpoint, credentials }
  reader = new S3Client({ region: 'us-east-1', endpoint, forcePathStyle: true, credentials })
})
afterAll(async () => {
  reader.destroy()
  await server[Symbol.asyncDispose]()
  home[Symbol.dispose]()
})

async function objects(prefix: string): Promise<{ key: string; body: Buffer }[]> {
  const { Contents = [] } = await reader.send(new ListObjectsV2Command({ Bucket: 'audit', Prefix: prefix }))
  return await Promise.all(
    Contents.map(async ({ Key: key = '' }) => {
      const { Body } = await reader.send(new GetObjectCommand({ Bucket: 'audit', Key: key }))
      return { key, body: Buffer.from((await Body?.transformToByteArray()) ?? []) }
    }),
  )
}

const entriesIn = (body: Buffer): { seq: number; id: string }[] =>
  body.toString().trimEnd().split('\n').map((line) => (JSON.parse(line) as { entry: { seq: number; id: string } }).entry) // prettier-ignore

test('a store that is killed and restarted, a follower that dies: nothing lost, a repetition is the same object', async () => {
  const store = await logOf(400)
  await using dying = createS3Sink({ ...options, prefix: 'killed/' })
  await followAndDie(store, dying, 3)
  await using sink = createS3Sink({ ...options, prefix: 'killed/' })
  const following = follow(store, sink)
  await sleep(40)
  await server.kill()
  await sleep(100)
  await server.start()
  expect((await following).length).toBeGreaterThan(0)
  const found = await objects('killed/')
  expect(found).toHaveLength(40)
  expect(arrived(found.flatMap(({ body }) => entriesIn(body)))).toEqual({
    seqs: upTo(400),
    repeated: 0,
    isMarked: true,
  })
  expect(found[1]?.key).toMatch(/^killed\/[0-9a-f]{32}\/0000000000000010-0000000000000019\.jsonl$/)
})

test('compressed, cut by size, and the same bytes each time', async () => {
  const entries = await entriesOf(await logOf(20))
  await using sink = createS3Sink({ ...options, prefix: 'gz/', compression: 'gzip', maxObjectBytes: 4000 })
  await sink.write(entries, never)
  const once = await objects('gz/')
  await sink.write(entries, never)
  expect(await objects('gz/')).toEqual(once)
  expect(once.length).toBeGreaterThan(2)
  const bodies = once.map(({ body }) => gunzipSync(body))
  expect(Math.max(...bodies.map(({ length }) => length))).toBeLessThanOrEqual(4000)
  expect(arrived(bodies.flatMap(entriesIn))).toMatchObject({ seqs: upTo(20), repeated: 0 })
})

test('a bucket that is not there, or wrong credentials, say so', async () => {
  const entries = await entriesOf(await logOf(1))
  await using nowhere = createS3Sink({ ...options, bucket: 'nowhere' })
  await expect(nowhere.write(entries, never)).rejects.toMatchObject({ code: 'AUDIT_SINK_FAILED', message: expect.stringContaining('NoSuchBucket') }) // prettier-ignore
  await using stranger = createS3Sink({ ...options, credentials: { ...credentials, accessKeyId: 'STRANGER' } })
  await expect(stranger.write(entries, never)).rejects.toThrow('InvalidAccessKeyId')
})

test('object lock: mode, time and a checksum go with each object', async () => {
  // s3rver has no object lock, so this looks at the request.
  const seen: Record<string, unknown>[] = []
  const listener = createServer((request, response) => {
    seen.push(request.headers)
    request.resume().once('end', () => response.end())
  }).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const endpoint = `http://127.0.0.1:${(listener.address() as AddressInfo).port}`
  const clock = (): number => Date.UTC(2026, 0, 1)
  await using sink = createS3Sink({ ...options, endpoint, clock, objectLock: { mode: 'COMPLIANCE', retainDays: 365 } })
  await sink.write(await entriesOf(await logOf(1)), never)
  expect(seen).toMatchObject([
    {
      'x-amz-object-lock-mode': 'COMPLIANCE',
      'x-amz-object-lock-retain-until-date': '2027-01-01T00:00:00Z',
      'x-amz-checksum-sha256': expect.stringMatching(/^.{44}$/),
    },
  ])
  listener.closeAllConnections()
  listener.close()
})

test('without the SDK it says at once what to install', () => {
  const script = `
    import { registerHooks } from 'node:module'
    registerHooks({
      resolve(specifier, context, next) {
        if (specifier.startsWith('@aws-sdk/')) throw new Error('not installed')
        return next(specifier, context)
      },
    })
    const { createS3Sink } = await import('@mcp-gateway/audit-chain/sinks/s3')
    try { createS3Sink({ bucket: 'b', region: 'eu-central-1' }) } catch (error) { console.log(error.code, error.message) }`
  const args = ['--conditions=@mcp-gateway/source', '--input-type=module', '--eval', script]
  const { stdout } = spawnSync(process.execPath, args, { cwd: join(import.meta.dirname, '..'), encoding: 'utf8' })
  expect(stdout.trim()).toBe('AUDIT_SINK_FAILED S3 needs the package @aws-sdk/client-s3: install it')
})
