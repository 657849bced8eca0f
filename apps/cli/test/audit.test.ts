// `audit …` and `usage`, on the file of a gateway that ran before.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { freePort } from '../../../test/support/free-port.ts'
import { everything, folder, outputWith, type Folder } from './cli.ts'

const KEY = 'gw_audit_0123456789abcdef0123456789abcdef'
const verifier = join(import.meta.dirname, '../../verifier/src/main.ts')
let place: Folder
let audit: string

beforeAll(async () => {
  place = folder()
  audit = join(place.path, '.mcp-gateway', 'audit.db')
  const port = await freePort()
  const keys = [{ id: 'k', key: KEY, name: 'k', consumerId: 'agent-1', roles: [] }]
  const servers = [{ id: 'everything', command: process.execPath, args: [everything, 'stdio'] }]
  place.write('gateway.yaml', { port, auth: { keys }, servers })
  const child = place.start(['serve'])
  await outputWith(child, 'listens on')
  const call = async (message: string): Promise<void> => {
    const response = await fetch(`http://127.0.0.1:${port}/api/servers/everything/tools/echo`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({ arguments: { message } }),
    })
    expect(response.status).toBe(200)
  }
  await call('canary-1')
  await call('=HYPERLINK("http://evil.example")')
  child.kill('SIGTERM')
  await once(child, 'exit')
})
afterAll(() => place[Symbol.dispose]())

const json = async (...args: string[]) => {
  const { code, stdout } = await place.run([...args, '--json'])
  return { code, body: JSON.parse(stdout) as Record<string, unknown> & { error: Record<string, unknown> } }
}

it('lists entries with and without what was said', async () => {
  const plain = await json('audit', 'log', '--tool', 'echo')
  expect(plain.body['entries']).toMatchObject([{ consumer: 'agent-1' }, { consumer: 'agent-1' }])
  expect(JSON.stringify(plain.body)).not.toContain('canary-1')
  const bodies = await json('audit', 'log', '--tool', 'echo', '--bodies')
  expect(JSON.stringify(bodies.body)).toContain('canary-1')
  expect((await place.run(['audit', 'log', '--limit', '1'])).stdout).toContain('gateway.stopped')
  expect((await place.run(['audit', 'log', '--limit', 'many'])).code).toBe(2)
})

it('sums up', async () => {
  expect((await json('audit', 'stats')).body).toMatchObject({ byStatus: { served: 2 } })
  expect((await json('usage', 'agent-1')).body['usage']).toMatchObject([{ tool: 'echo', calls: 2, errors: 0 }])
  expect((await json('usage', 'nobody')).body['usage']).toEqual([])
  expect((await place.run(['usage'])).stdout).toContain('agent-1')
})

it('follows: what there is, and then what comes, until it is interrupted', { timeout: 60_000 }, async () => {
  using home = folder()
  const port = await freePort()
  const keys = [{ id: 'k', key: KEY, name: 'k', consumerId: 'agent-1', roles: [] }]
  const out = { name: 'file', type: 'jsonl', path: 'out.jsonl', intervalMs: 10 }
  const servers = [{ id: 'everything', command: process.execPath, args: [everything, 'stdio'] }]
  home.write('gateway.yaml', { port, auth: { keys }, servers, audit: { export: [out] } })
  const gateway = home.start(['serve'])
  await outputWith(gateway, 'listens on')
  const following = home.start(['audit', 'log', '--follow', '--json', '--bodies', '--limit', '1'])
  let printed = ''
  following.stdout.on('data', (chunk) => (printed += String(chunk)))
  let complaint = ''
  following.stderr.on('data', (chunk) => (complaint += String(chunk)))
  const ended = once(following, 'exit').then(() => 'ended')
  const until = async (text: string): Promise<void> => {
    while (!printed.includes(text)) {
      const outcome = await Promise.race([once(following.stdout, 'data'), ended])
      if (outcome === 'ended') throw new Error(`the command ended: ${complaint}`)
    }
  }
  await until('gateway.started')
  const args = ['--file', join(home.path, '.mcp-gateway', 'audit.db'), '--follow']
  const filtered = home.start(['audit', 'log', ...args, '--tool', 'echo'])
  // Not `outputWith`, which closes the pipe when it has seen enough: a command ends that nobody reads.
  let lines = ''
  filtered.stdout.on('data', (chunk) => (lines += String(chunk)))
  for (const message of ['canary-a', 'canary-b']) {
    const response = await fetch(`http://127.0.0.1:${port}/api/servers/everything/tools/echo`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({ arguments: { message } }),
    })
    expect(response.status).toBe(200)
  }
  await until('canary-b')
  const rows = printed.trimEnd().split('\n').map((line) => JSON.parse(line) as { seq: number; type: string }) // prettier-ignore
  expect(rows.map(({ seq }) => seq)).toEqual([0, 1, 2])
  await expect.poll(() => lines, { timeout: 20_000 }).toMatch(/^1 .*tool\.call {2}agent-1 {2}everything .*served/)
  for (const child of [following, filtered]) {
    child.kill('SIGINT')
    const [code] = (await once(child, 'exit')) as [number | null]
    expect(code).toBe(0)
  }
  gateway.kill('SIGTERM')
  await once(gateway, 'exit')
  const stats = await home.run(['audit', 'stats', '--json'])
  expect((JSON.parse(stats.stdout) as { exports: unknown }).exports).toEqual([{ name: 'file', cursor: 4, lag: 0 }])
  expect((await home.run(['audit', 'stats'])).stdout).toMatch(/export file +4 sent, 0 behind/)
  expect(home.read('out.jsonl').trimEnd().split('\n')).toHaveLength(4)
  expect((await home.run(['audit', 'log', '--follow', '--to', '2030-01-01'])).code).toBe(2)
})

it('exports lines that parse, and a CSV that no spreadsheet runs', async () => {
  const lines = (await place.run(['audit', 'export'])).stdout.trim().split('\n')
  const members = lines.map((line) => Object.keys(JSON.parse(line) as object)[0])
  expect(members).toEqual(['log', ...lines.slice(3).map(() => 'entry'), 'checkpoint', 'meta'])
  const { code } = await place.run(['audit', 'export', '--format', 'csv', '--bodies', '--output', 'log.csv'])
  expect(code).toBe(0)
  expect(place.read('log.csv')).toContain('agent-1')
  expect(place.read('log.csv')).not.toMatch(/(^|,)"?=/m)
  // A file that is there is not overwritten.
  expect((await place.run(['audit', 'export', '--output', 'log.csv'])).code).toBe(1)
})

it('verify: 0 intact, 1 tampered with what and where, 2 could not check', async () => {
  const signed = await place.run(['audit', 'checkpoint'])
  expect(signed.code).toBe(0)
  writeFileSync(join(place.path, 'kept.txt'), signed.stdout)
  const intact = await json('audit', 'verify', '--checkpoint', 'kept.txt')
  expect(intact.code).toBe(0)
  expect(intact.body).toMatchObject({ intact: true, findings: [] })
  expect(intact.body['rememberedEntries']).toBe(intact.body['entries'])

  const meta = await place.run(['audit', 'checkpoint', '--meta'])
  expect(meta.code).toBe(0)
  writeFileSync(join(place.path, 'meta.txt'), meta.stdout)
  const both = await json('audit', 'verify', '--checkpoint', 'kept.txt', '--checkpoint', 'meta.txt')
  expect(both.code).toBe(0)
  expect(both.body['meta']).toMatchObject({ logs: 1, behind: [] })
  expect((await place.run(['audit', 'verify'])).stdout).toContain('each agrees with its log (1 compared)')
  // Whoever removes all of the meta-log has not removed what was kept elsewhere.
  const hidden = readdirSync(join(place.path, '.mcp-gateway')).filter((name) => name.startsWith('audit-meta'))
  for (const name of hidden) renameSync(join(place.path, '.mcp-gateway', name), join(place.path, name))
  expect((await json('audit', 'verify', '--checkpoint', 'meta.txt')).body.error).toMatchObject({ findings: [{ code: 'ROLLED_BACK' }] }) // prettier-ignore
  for (const name of hidden) renameSync(join(place.path, name), join(place.path, '.mcp-gateway', name))

  using copy = folder()
  const tampered = (name: string, sql: string): string => {
    const target = join(copy.path, name)
    const source = new DatabaseSync(audit)
    source.exec(`vacuum into '${target}'`)
    source.close()
    const database = new DatabaseSync(target)
    for (const { name: trigger } of database.prepare(`select name from sqlite_master where type = 'trigger'`).all())
      database.exec(`drop trigger "${String(trigger)}"`)
    database.exec(sql)
    database.close()
    return target
  }
  const edited = tampered('edited.db', `update audit_entry set leaf = cast(replace(cast(leaf as text), '"echo"', '"evil"') as blob) where seq = 1`) // prettier-ignore
  const found = await json('audit', 'verify', '--file', edited)
  expect(found.code).toBe(1)
  expect(found.body.error).toMatchObject({ code: 'CLI_AUDIT_TAMPERED', intact: false })
  expect(found.body.error['findings']).toEqual(expect.arrayContaining([expect.objectContaining({ code: 'ENTRY_CHANGED', seq: 1 })])) // prettier-ignore
  const body = tampered('body.db', `update audit_field set fields = zeroblob(length(fields)) where seq = 1`)
  expect((await place.run(['audit', 'verify', '--file', body])).code).toBe(1)
  const dropped = tampered('dropped.db', `delete from audit_entry where seq = 2`)
  expect((await place.run(['audit', 'verify', '--file', dropped])).code).toBe(1)

  expect((await place.run(['audit', 'verify', '--file', 'no-such.db'])).code).toBe(2)
  writeFileSync(join(copy.path, 'garbage.db'), 'x'.repeat(10_000))
  expect((await place.run(['audit', 'verify', '--file', join(copy.path, 'garbage.db')])).code).toBe(2)
  expect((await place.run(['audit', 'verify', '--checkpoint', 'no-such.txt'])).code).toBe(2)
})

it('what it exports and proves is verified by the verifier, until somebody changes it', async () => {
  const { body } = await json('audit', 'checkpoint')
  const check = async (text: string): Promise<number> => {
    const file = join(place.path, 'bundle.jsonl')
    writeFileSync(file, text)
    const args = [
      '--conditions=@mcp-gateway/source',
      verifier,
      '--key',
      String(body['verifierKey']),
      '--no-state',
      file,
    ]
    const child = spawn(process.execPath, args, { stdio: 'ignore' })
    const [code] = (await once(child, 'exit')) as [number]
    return code
  }
  const whole = (await place.run(['audit', 'export', '--bodies'])).stdout
  expect(await check(whole)).toBe(0)
  expect(await check(whole.replace('"log.checkpoint"', '"log.checkpoinT"'))).toBe(10)
  expect(await check(whole.replace('canary-1', 'canary-2'))).toBe(10)
  expect(await check(whole.split('\n').toSpliced(2, 1).join('\n'))).toBe(10)
  const part = (await place.run(['audit', 'export', '--tool', 'echo'])).stdout
  expect(part.trim().split('\n')).toHaveLength(4)
  expect(await check(part)).toBe(0)
  const { body: found } = await json('audit', 'log', '--tool', 'echo')
  const [entry] = found['entries'] as { id: string }[]
  const proof = (await place.run(['audit', 'proof', entry?.id ?? ''])).stdout
  expect(await check(proof)).toBe(0)
  expect(await check(proof.replace('"served"', '"failed"'))).toBe(10)
})

it('proves an entry, and erases one consumer', async () => {
  const { body } = await json('audit', 'log', '--tool', 'echo')
  const [entry] = body['entries'] as { id: string }[]
  expect((await place.run(['audit', 'proof', entry?.id ?? ''])).stdout).toContain('c2sp.org/tlog-proof@v1')
  expect((await place.run(['audit', 'proof', 'no-such-entry'])).code).toBe(1)
  expect((await place.run(['audit', 'erase', '--consumer', 'agent-1'])).code).toBe(2)
  const erased = await json('audit', 'erase', '--consumer', 'agent-1', '--reason', 'GDPR Art. 17')
  expect(erased.body).toEqual({ entries: 2 })
  expect(place.read('.mcp-gateway/audit.db')).not.toContain('canary-1')
  expect((await place.run(['audit', 'verify'])).code).toBe(0)
})

it(
  'a log that was put back: reads the old one by its name, checks both, and erases in both',
  { timeout: 60_000 },
  async () => {
    using home = folder()
    const port = await freePort()
    const keys = [{ id: 'k', key: KEY, name: 'k', consumerId: 'agent-1', roles: [] }]
    const servers = [{ id: 'everything', command: process.execPath, args: [everything, 'stdio'] }]
    home.write('gateway.yaml', { port, auth: { keys }, servers })
    const run = async (message: string): Promise<void> => {
      const child = home.start(['serve'])
      await outputWith(child, 'listens on')
      const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' }
      const body = JSON.stringify({ arguments: { message } })
      await fetch(`http://127.0.0.1:${port}/api/servers/everything/tools/echo`, { method: 'POST', headers, body })
      child.kill('SIGTERM')
      await once(child, 'exit')
      expect((await home.run(['audit', 'checkpoint'])).code).toBe(0)
    }
    const file = join(home.path, '.mcp-gateway', 'audit.db')
    await run('canary-old')
    const origin = (await home.run(['audit', 'checkpoint'])).stdout.split('\n')[0] ?? ''
    cpSync(file, `${file}.backup`)
    await run('canary-lost')
    cpSync(`${file}.backup`, file)
    rmSync(`${file}.backup`)
    await run('canary-new')
    const log = async (...args: string[]) => (await home.run(['audit', 'log', '--json', '--bodies', ...args])).stdout
    expect(await log()).toContain('canary-new')
    expect(await log()).toContain(origin)
    expect(await log('--log', origin)).toContain('canary-old')
    expect((await home.run(['audit', 'log', '--log', `${origin}.7`])).code).toBe(1)
    expect((await home.run(['usage', '--log', origin])).stdout).toContain('agent-1')
    const verified = await home.run(['audit', 'verify'])
    expect(verified.code).toBe(1)
    expect(verified.stdout + verified.stderr).toContain('ROLLED_BACK')
    const erased = await home.run(['audit', 'erase', '--consumer', 'agent-1', '--reason', 'GDPR Art. 17', '--json'])
    expect(JSON.parse(erased.stdout)).toEqual({ entries: 2 })
    for (const canary of ['canary-old', 'canary-new']) expect(home.read('.mcp-gateway/audit.db')).not.toContain(canary)
  },
)

it('continues what a verifier remembers of the log and of the meta-log', async () => {
  const keyOf = async (...more: string[]) => String((await json('audit', 'checkpoint', ...more)).body['verifierKey'])
  const trusted = ['--key', await keyOf(), '--key', await keyOf('--meta'), '--require-meta']
  const check = async (text: string) => {
    writeFileSync(join(place.path, 'bundle.jsonl'), text)
    const state = ['--state', join(place.path, 'seen'), '--json', join(place.path, 'bundle.jsonl')]
    const child = spawn(process.execPath, ['--conditions=@mcp-gateway/source', verifier, ...trusted, ...state])
    let printed = ''
    child.stdout.on('data', (chunk) => (printed += String(chunk)))
    const [code] = (await once(child, 'close')) as [number]
    const { findings, checkpoint, meta } = JSON.parse(printed) as { findings: { code: string }[]; checkpoint: { size: number }; meta: { size: number } } // prettier-ignore
    return { code, findings: findings.map((found) => found.code), seen: checkpoint.size, seenMeta: meta.size }
  }
  const { entries } = (await json('audit', 'log', '--tool', 'echo')).body as unknown as { entries: { id: string }[] }
  const id = entries[0]?.id ?? ''
  const proof = async (...more: string[]) => (await place.run(['audit', 'proof', id, ...more])).stdout
  const first = await check(await proof())
  expect(first).toMatchObject({ code: 0, findings: [] })
  // An erasure is an entry, and so is the checkpoint of it in the meta-log.
  await place.run(['audit', 'erase', '--id', id, '--reason', 'a test'])
  await place.run(['audit', 'checkpoint'])
  await place.run(['audit', 'checkpoint', '--meta'])
  expect(await check(await proof())).toMatchObject({ code: 10, findings: ['CONSISTENCY_UNPROVEN', 'CONSISTENCY_UNPROVEN'] }) // prettier-ignore
  const [seen, seenMeta] = [String(first.seen), String(first.seenMeta)]
  expect(await check(await proof('--seen', seen))).toMatchObject({ code: 10, findings: ['CONSISTENCY_UNPROVEN'] })
  const second = await check(await proof('--seen', seen, '--seen-meta', seenMeta))
  expect(second).toEqual({ code: 0, findings: [], seen: first.seen + 1, seenMeta: first.seenMeta + 1 })
  expect((await check((await place.run(['audit', 'export'])).stdout)).code).toBe(0)
  expect((await place.run(['audit', 'export', '--seen-meta', 'x'])).code).toBe(2)
})

it('says what is missing when there is no log', async () => {
  using empty = folder()
  empty.write('gateway.yaml', {})
  const { code, stderr } = await empty.run(['audit', 'log'])
  expect(code).toBe(1)
  expect(stderr).toContain('mcp-gateway serve')
  rmSync(join(empty.path, 'gateway.yaml'))
  expect((await empty.run(['audit', 'verify'])).code).toBe(2)
})
