// kill -9 of the whole gateway under load: what a client got an answer to is in the log, and the log is one history.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { readMetaEntry } from '@mcp-gateway/audit-chain'
import { checkLedger, checkPlace, openLedgerFile, readLedgerFile } from '@mcp-gateway/gateway/ledger'
import { folder } from './ledger-support.ts'
import { echoServer, KEY, KEYS } from './support.ts'

const KILLS = 12
const CLIENTS = 16
const GATEWAY = join(import.meta.dirname, 'fixtures', 'gateway-process.ts')

async function startProcess(database: string): Promise<{ child: ChildProcess; url: string }> {
  const config = {
    port: 0,
    log: { level: 'silent' },
    auth: KEYS,
    servers: [echoServer('one')],
    audit: { checkpointIntervalMs: 5 },
  }
  const child = spawn(
    process.execPath,
    ['--conditions=@mcp-gateway/source', GATEWAY, database, JSON.stringify(config)],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  const [url] = (await once(child.stdout, 'data')) as [Buffer]
  return { child, url: String(url).trim() }
}

/** Calls until the connection breaks; the ids of the calls that were answered. */
async function load(url: string, acknowledged: string[], name: string): Promise<void> {
  for (let i = 0; ; i += 1) {
    const id = `${name}-${i}`
    try {
      const response = await fetch(`${url}/api/servers/one/tools/echo`, {
        method: 'POST',
        headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
        body: JSON.stringify({ arguments: { id } }),
      })
      await response.text()
      if (response.status === 200) acknowledged.push(id)
    } catch {
      return
    }
  }
}

it(`loses no acknowledged call in ${KILLS} kills`, { timeout: 120_000 }, async () => {
  using place = folder()
  const acknowledged: string[] = []
  for (let kill = 0; kill < KILLS; kill += 1) {
    const { child, url } = await startProcess(place.database)
    const clients = Array.from({ length: CLIENTS }, (_, i) => load(url, acknowledged, `${kill}-${i}`))
    const before = acknowledged.length
    await expect.poll(() => acknowledged.length, { timeout: 20_000, interval: 5 }).toBeGreaterThan(before + kill * 7)
    child.kill('SIGKILL')
    await Promise.all([once(child, 'exit'), ...clients])
  }
  const logged = new Set<string>()
  await using reader = await readLedgerFile(place.audit)
  let count = 0
  for await (const { seq, entry } of reader.log.entries()) {
    if (entry.type !== 'tool.call') continue
    count += 1
    const given = (await reader.log.disclose(seq)).find(({ name }) => name === 'arguments')
    logged.add((JSON.parse(Buffer.from(given?.value ?? []).toString()) as { id: string }).id)
  }
  expect(acknowledged.length).toBeGreaterThan(KILLS * 10)
  expect(acknowledged.filter((id) => !logged.has(id))).toEqual([])
  // No call twice either.
  expect(count).toBe(logged.size)
  const { findings } = await checkLedger({ store: reader.store, origin: reader.log.origin, file: place.audit })
  expect(findings).toEqual([])
  // Killed between signing and recording, too: what is missing comes with the next checkpoint, and nothing comes twice.
  const before = await checkPlace({ file: place.audit }, { everyLog: true })
  expect(before.findings).toEqual([])
  await using ledger = await openLedgerFile(place.audit)
  await ledger.keys.checkpoint()
  expect(await checkPlace({ file: place.audit }, { everyLog: true })).toMatchObject({
    findings: [],
    meta: { behind: [] },
  })
  const sizes: number[] = []
  for await (const { leaf } of (await ledger.meta.read()).log.entries()) sizes.push(readMetaEntry(leaf).size)
  expect(sizes.length).toBeGreaterThan(0)
  expect(sizes).toEqual([...new Set(sizes)].sort((a, b) => a - b))
  process.stderr.write(`${KILLS} kills, ${sizes.length} checkpoints recorded, ${before.meta?.behind.length} behind\n`)
})
