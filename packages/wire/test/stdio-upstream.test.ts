// Real children that misbehave.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { baseEnvironment, createStdioUpstream, handshake, outcome, type JsonRpcMessage } from '@mcp-gateway/wire'
import { afterEach, describe, expect, it } from 'vitest'

const open: AsyncDisposable[] = []
afterEach(async () => {
  for (const item of open.splice(0)) await item[Symbol.asyncDispose]()
})

const ECHO = `
process.stdin.on('data', (chunk) => { for (const line of String(chunk).split('\\n')) if (line) {
  const { id, method } = JSON.parse(line)
  if (id !== undefined) process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result: { method } }) + '\\n')
} }).on('end', () => process.exit(0))`

function start(script: string, limits = {}, command = process.execPath, args = ['-e', script]) {
  const messages: JsonRpcMessage[] = []
  const diagnostics: string[] = []
  const upstream = createStdioUpstream({
    command,
    args,
    env: baseEnvironment(process.env),
    attribution: 'sole',
    onMessage: (message) => messages.push(message),
    onDiagnostic: (text) => diagnostics.push(text),
    limits,
    graceMs: 300,
  })
  open.push(upstream)
  return { upstream, messages, diagnostics }
}

const ping = { jsonrpc: '2.0', id: 'p', method: 'ping' } as const
const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    // Killed, but not collected: the orphan's new parent is the container's init, which may never do it.
    return process.platform !== 'linux' || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

describe('a child that', () => {
  it('writes garbage, half a line and answers to nobody between good answers is understood all the same', async () => {
    const { upstream, messages, diagnostics } = start(`
      process.stdout.write('Server starting...\\n{"half":')
      process.stdout.write('\\n{"jsonrpc":"2.0","id":12345,"result":{}}\\n\\n')
      ${ECHO}`)
    expect(await outcome(upstream, ping)).toMatchObject({ id: 'p', result: { method: 'ping' } })
    expect(diagnostics).toEqual([
      'not JSON-RPC on stdout: Server starting...',
      'not JSON-RPC on stdout: {"half":',
      'an answer that nobody waits for: 12345',
    ])
    expect(messages).toEqual([])
  })

  it('writes a line past the limit loses that line only', async () => {
    const { upstream, diagnostics } = start(`process.stdout.write('x'.repeat(3_000_000) + '\\n'); ${ECHO}`, {
      maxLineBytes: 1_000_000,
    })
    expect(await outcome(upstream, ping)).toMatchObject({ result: { method: 'ping' } })
    expect(diagnostics).toEqual(['a line on stdout exceeds 1000000 bytes and was dropped'])
  })

  it('floods stderr is drained, and all but its budget is dropped', async () => {
    const { upstream, diagnostics } = start(`
      const chunk = 'e'.repeat(99) + '\\n'
      for (let i = 0; i < 200_000; i++) process.stderr.write(chunk)
      ${ECHO}`)
    expect(await outcome(upstream, ping)).toMatchObject({ result: { method: 'ping' } })
    expect(diagnostics.join('').length).toBeLessThan(70_000)
  })

  it('dies in the middle fails its requests at once and says why', async () => {
    const { upstream } = start(`process.stdin.once('data', () => process.exit(42))`)
    await expect(outcome(upstream, ping)).rejects.toMatchObject({
      code: 'WIRE_UPSTREAM_CLOSED',
      message: expect.stringContaining('42'),
    })
    expect(await upstream.closed).toBe('exit code 42')
    expect(() => upstream.request(ping)).toThrow(expect.objectContaining({ code: 'WIRE_NOT_SENT' }))
  })

  it('does not exist says so', async () => {
    const { upstream } = start('', {}, '/nonexistent/server', [])
    expect(await upstream.closed).toMatch(/could not be started.*ENOENT/)
  })

  it('never answers is given up, and told', async () => {
    const { upstream } = start(`process.stdin.resume()`, { idleTimeoutMs: 300 })
    await expect(outcome(upstream, ping)).rejects.toMatchObject({ code: 'WIRE_UPSTREAM_TIMEOUT' })
  })

  it('ignores stdin and SIGTERM, and has a grandchild that does, too, leaves nothing behind', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'wire-'))
    const stubborn = `process.on('SIGTERM', () => {}); setInterval(() => {}, 1000);`
    const { upstream } = start(`
      ${stubborn}
      const { spawn } = require('node:child_process')
      const child = spawn(process.execPath, ['-e', ${JSON.stringify(stubborn)}], { stdio: 'inherit' })
      require('node:fs').writeFileSync(${JSON.stringify(join(folder, 'pids'))}, process.pid + ' ' + child.pid)`)
    const pids = await expect
      .poll(() => readFileSync(join(folder, 'pids'), 'utf8').split(' ').map(Number), { timeout: 5000 })
      .toHaveLength(2)
      .then(() => readFileSync(join(folder, 'pids'), 'utf8').split(' ').map(Number))
    expect(pids.every(isAlive)).toBe(true)
    await upstream[Symbol.asyncDispose]()
    await expect.poll(() => pids.some(isAlive)).toBe(false)
    rmSync(folder, { recursive: true })
  })
})

describe('handshake', () => {
  const clientInfo = { name: 'test', version: '1' }
  it('takes a server that is silent about discover for a legacy one', async () => {
    const { upstream } = start(`
      process.stdin.on('data', (chunk) => { for (const line of String(chunk).split('\\n')) if (line) {
        const { id, method, params } = JSON.parse(line)
        if (method === 'initialize') process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result: { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'old' }, instructions: 'hi' } }) + '\\n')
      } })`)
    const profile = await handshake(upstream, { clientInfo, probeTimeoutMs: 200 })
    expect(profile).toEqual({
      era: 'legacy',
      protocolVersion: '2025-11-25',
      capabilities: { tools: {} },
      serverInfo: { name: 'old' },
      instructions: 'hi',
      result: {
        protocolVersion: '2025-11-25',
        capabilities: { tools: {} },
        serverInfo: { name: 'old' },
        instructions: 'hi',
      },
    })
  })
  it('says why a server refuses', async () => {
    const { upstream } = start(`
      process.stdin.on('data', (chunk) => { for (const line of String(chunk).split('\\n')) if (line) {
        const { id } = JSON.parse(line)
        if (id) process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, error: { code: -1, message: 'not today' } }) + '\\n')
      } })`)
    await expect(handshake(upstream, { clientInfo })).rejects.toMatchObject({ code: 'WIRE_UPSTREAM_REFUSED', message: expect.stringContaining('not today') }) // prettier-ignore
  })
})
