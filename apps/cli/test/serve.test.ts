import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { freePort } from '../../../test/support/free-port.ts'
import { everything, folder, isAlive, outputWith } from './cli.ts'

const config = (port: number): object => ({
  port,
  auth: { type: 'none' },
  servers: [{ id: 'everything', command: 'node', args: [everything, 'stdio'] }],
})

describe('serve --init', () => {
  test('in an empty folder, the printed curl line calls a tool', async () => {
    using dir = folder()
    const port = await freePort()
    const child = dir.start(['serve', '--init', '--port', String(port)])
    const output = await outputWith(child, 'VS Code, .vscode/mcp.json')
    const curl = /^ {2}(curl .*)$/m.exec(output)?.[1] ?? ''
    expect(curl).toContain(`http://127.0.0.1:${port}/api/servers/everything/tools/echo`)
    const { stdout } = spawnSync('sh', ['-c', curl], { encoding: 'utf8' })
    expect(JSON.parse(stdout)).toEqual({ content: [{ type: 'text', text: 'Echo: hello' }] })

    const [key = ''] = output.match(/gw_[A-Za-z0-9_-]{43}/) ?? []
    const files = ['gateway.yaml', 'gateway.schema.json'].map((name) => dir.read(join('.mcp-gateway', name)))
    for (const text of files) expect(text).not.toContain(key)
    expect(statSync(join(dir.path, '.mcp-gateway/gateway.yaml')).mode & 0o777).toBe(0o600)
    expect(files[0]).toContain(`port: ${port}`)
    expect(readdirSync(join(dir.path, '.mcp-gateway/files'))).toEqual(['hello.txt'])

    const called = await dir.run(
      [
        'tools',
        'call',
        'filesystem',
        'read_text_file',
        JSON.stringify({ path: join(dir.path, '.mcp-gateway/files/hello.txt') }),
      ],
      {
        env: { MCP_GATEWAY_KEY: key },
      },
    )
    expect(called).toEqual({ code: 0, stderr: '', stdout: 'Hello from behind the gateway.\n\n' })
    child.kill('SIGTERM')
    expect(await once(child, 'exit')).toEqual([0, null])
  })

  test('with a configuration it makes none and shows no key', async () => {
    using dir = folder()
    dir.write('gateway.yaml', { servers: [] })
    const child = dir.start(['serve', '--init', '--port', '0'])
    const output = await outputWith(child, 'Lost the key?')
    expect(output).not.toContain('gw_')
    expect(readdirSync(dir.path).sort()).toEqual(['.mcp-gateway', 'gateway.yaml', 'home'])
    // The audit log, and no configuration.
    expect(readdirSync(join(dir.path, '.mcp-gateway'))).not.toContain('gateway.yaml')
    child.kill()
    await once(child, 'exit')
  })
})

describe('serve', () => {
  test('--json prints one line and the log goes to stderr', async () => {
    using dir = folder()
    dir.write('gateway.yaml', config(0))
    const child = dir.start(['serve', '--json'])
    const output = await outputWith(child, '\n')
    const { url, port, servers } = JSON.parse(output) as { url: string; port: number; servers: string[] }
    expect(url).toBe(`http://127.0.0.1:${port}`)
    expect(servers).toEqual(['everything'])
    expect(await (await fetch(`${url}/health`)).json()).toMatchObject({ status: 'ok' })
    child.kill()
    await once(child, 'exit')
  })

  test.each<[string, (ports: readonly string[]) => Record<string, string>, number]>([
    ['the file', () => ({}), 0],
    ['PORT', ([, a = '']) => ({ PORT: a }), 1],
    ['MCP_GATEWAY_PORT', ([, a = '', b = '']) => ({ PORT: a, MCP_GATEWAY_PORT: b }), 2],
  ])('takes the port of %s', async (_, env, index) => {
    using dir = folder()
    const ports = [await freePort(), await freePort(), await freePort()]
    dir.write('gateway.yaml', config(ports[0] ?? 0))
    const child = dir.start(['serve', '--json'], { env: env(ports.map(String)) })
    expect(JSON.parse(await outputWith(child, '\n'))).toMatchObject({ port: ports[index] })
    child.kill()
    await once(child, 'exit')
  })

  test.each(['SIGINT', 'SIGTERM'] as const)('%s ends it with 0, and its servers with it', async (signal) => {
    using dir = folder()
    dir.write('gateway.yaml', config(0))
    const child = dir.start(['serve', '--json'])
    const { url } = JSON.parse(await outputWith(child, '\n')) as { url: string }
    const tools = await fetch(`${url}/api/servers/everything/tools`)
    expect(tools.status).toBe(200)
    const children = spawnSync('pgrep', ['-P', String(child.pid)], { encoding: 'utf8' })
      .stdout.trim()
      .split('\n')
      .map(Number)
    expect(children.map(isAlive)).toEqual([true])
    child.kill(signal)
    expect(await once(child, 'exit')).toEqual([0, null])
    for (const pid of children) expect(isAlive(pid)).toBe(false)
  })

  test('a second signal ends it at once', async () => {
    using dir = folder()
    // A server that answers nothing keeps a call, and with it the orderly end, waiting.
    const silent = ['-e', 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000)']
    dir.write('gateway.yaml', {
      port: 0,
      auth: { type: 'none' },
      servers: [{ id: 'silent', command: 'node', args: silent }],
    })
    const child = dir.start(['serve', '--json'])
    const { url } = JSON.parse(await outputWith(child, '\n')) as { url: string }
    const call = fetch(`${url}/api/servers/silent/tools`).then(
      () => 'answered',
      () => 'cut off',
    )
    await expect.poll(() => spawnSync('pgrep', ['-P', String(child.pid)], { encoding: 'utf8' }).stdout).not.toBe('')
    const [pid] = spawnSync('pgrep', ['-P', String(child.pid)], { encoding: 'utf8' })
      .stdout.trim()
      .split('\n')
      .map(Number)
    child.kill('SIGTERM')
    await new Promise((resolve) => setTimeout(resolve, 200))
    const asked = performance.now()
    child.kill('SIGTERM')
    expect(await once(child, 'exit')).toEqual([143, null])
    expect(performance.now() - asked).toBeLessThan(1000)
    expect(await call).toBe('cut off')
    await expect.poll(() => isAlive(pid)).toBe(false)
  })

  test.each([
    ['another program', false],
    ['another MCP gateway', true],
  ])('a port taken by %s ends it with 1 and a way out', async (owner, isGateway) => {
    using dir = folder()
    const port = await freePort()
    dir.write('gateway.yaml', config(port))
    const server = createServer((socket) => socket.end('220 smtp\r\n'))
    const first = isGateway ? dir.start(['serve', '--json']) : undefined
    if (first === undefined) await once(server.listen(port, '127.0.0.1'), 'listening')
    else await outputWith(first, '\n')
    const { code, stdout, stderr } = await dir.run(['serve'])
    expect(stderr).toContain(`port ${port} on 127.0.0.1 is in use by ${owner}`)
    expect(stderr).toContain(`mcp-gateway serve --port ${port + 1}`)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    server.close()
    first?.kill()
    if (first !== undefined) await once(first, 'exit')
  })

  test('--host 0.0.0.0 without authentication is refused', async () => {
    using dir = folder()
    dir.write('gateway.yaml', config(0))
    const { code, stderr } = await dir.run(['serve', '--host', '0.0.0.0'])
    expect(stderr).toContain('reachable from other machines')
    expect(code).toBe(3)
  })

  test('an address of another machine is refused', async () => {
    using dir = folder()
    dir.write('gateway.yaml', { port: 0 })
    const { code, stderr } = await dir.run(['serve', '--host', '192.0.2.1'])
    expect(stderr).toContain('192.0.2.1 is not an address of this machine')
    expect(code).toBe(1)
  })
})
