// A disk that is really full under the whole gateway: a small tmpfs, filled to its end and emptied again.
import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { entriesIn } from './ledger-support.ts'
import { echoServer, gatewayWith, KEYS, modern, send } from './support.ts'

const path = mkdtempSync(join(tmpdir(), 'mcp-gateway-full-'))
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m,mode=700', 'mcp-gateway-test', path])
const reason =
  mounted.status === 0
    ? undefined
    : `no small disk can be mounted here: ${String(mounted.stderr ?? mounted.error).trim()}`
if (reason !== undefined) console.warn(`skipped: ${reason}`)

const ballast = join(path, 'ballast')
/** Leaves not a byte. */
function fill(): void {
  const file = openSync(ballast, 'w')
  for (const size of [65_536, 4096, 512, 1]) {
    try {
      for (;;) writeSync(file, Buffer.alloc(size))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    }
  }
  closeSync(file)
}

describe.skipIf(reason !== undefined)('a full disk', () => {
  afterAll(() => {
    spawnSync('umount', ['-l', path])
    rmSync(path, { recursive: true, force: true })
  })

  it.for(['closed', 'open'] as const)(
    '%s: says so, loses no call unrecorded, and goes on when there is room',
    async (onFailure) => {
      const folder = join(path, onFailure)
      const database = join(folder, 'gateway.db')
      const gateway = await gatewayWith({ auth: KEYS, servers: [echoServer('one')], audit: { onFailure } }, database)
      // Bodies that fit into no page that is left over.
      const call = async (n: number) =>
      (await send(gateway, '/mcp/server/one', modern('tools/call', { name: 'echo', arguments: { n, note: 'x'.repeat(12_000) } }, n))).json() // prettier-ignore
      const isAnswered = (answer: Readonly<Record<string, unknown>>) => 'result' in answer
      for (let n = 1; n <= 5; n += 1) expect(isAnswered(await call(n))).toBe(true)
      fill()
      const during: [number, boolean][] = []
      for (let n = 6; n <= 40; n += 1) during.push([n, isAnswered(await call(n))])
      const refused = during.filter(([, answered]) => !answered)
      if (onFailure === 'closed') {
        expect(refused.length).toBeGreaterThan(0)
        expect(await call(41)).toMatchObject({ error: { data: { code: 'GATEWAY_AUDIT_UNAVAILABLE' } } })
      } else expect(refused).toEqual([])
      rmSync(ballast)
      await expect.poll(async () => isAnswered(await call(42)), { timeout: 10_000 }).toBe(true)
      await gateway.close()
      const entries = await entriesIn(join(folder, 'audit.db'))
      expect(entries.map(({ type }) => type)).toContain('audit.gap')
      const recorded = entries.filter(({ type }) => type === 'tool.call').length
      const answered = 5 + during.filter(([, ok]) => ok).length
      if (onFailure === 'closed') expect(recorded).toBeGreaterThanOrEqual(answered)
      rmSync(folder, { recursive: true, force: true })
    },
  )
})
