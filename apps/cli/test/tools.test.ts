import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, describe, expect, test } from 'vitest'
import { freePort } from '../../../test/support/free-port.ts'
import { everything, folder, isAlive, outputWith } from './cli.ts'

const dir = folder()
afterAll(() => dir[Symbol.dispose]())
dir.write('gateway.yaml', {
  port: await freePort(),
  servers: [
    { id: 'everything', command: 'node', args: [everything, 'stdio'] },
    { id: 'broken', command: 'node', args: ['-e', 'process.exit(7)'] },
  ],
})

describe('without a running gateway', () => {
  test('tools list of one server', async () => {
    const { code, stdout, stderr } = await dir.run(['tools', 'list', 'everything'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^SERVER +TOOL +WHAT IT DOES\n/)
    expect(stdout).toMatch(/^everything +echo +Echoes back/m)
  })

  test('a broken server does not hide the others, and does not pass for success', async () => {
    const { code, stdout, stderr } = await dir.run(['tools', 'list', '--json'])
    const { tools, failed } = JSON.parse(stdout) as { tools: { server: string; name: string }[]; failed: object[] }
    expect(tools).toContainEqual(expect.objectContaining({ server: 'everything', name: 'echo' }))
    expect(failed).toMatchObject([{ server: 'broken' }])
    expect(stderr).toContain('broken')
    expect(code).toBe(1)
  })

  test('tools call prints the text', async () => {
    const result = await dir.run(['tools', 'call', 'everything', 'echo', '{"message":"hi"}'])
    expect(result).toEqual({ code: 0, stdout: 'Echo: hi\n', stderr: '' })
  })

  test('tools call reads the arguments from stdin', async () => {
    const result = await dir.run(['tools', 'call', 'everything', 'echo', '-'], { input: '{"message":"piped"}' })
    expect(result).toMatchObject({ code: 0, stdout: 'Echo: piped\n' })
  })

  test('tools call --json prints the result as it came', async () => {
    const { stdout } = await dir.run([
      'tools',
      'call',
      'everything',
      'get-structured-content',
      '{"location":"New York"}',
      '--json',
    ])
    expect(JSON.parse(stdout)).toMatchObject({ structuredContent: { temperature: expect.any(Number) } })
  })

  test('what is not text is named', async () => {
    const { stdout } = await dir.run(['tools', 'call', 'everything', 'get-tiny-image'])
    expect(stdout).toMatch(/^\[image image\/png, \d+ characters of base64; see it with --json\]$/m)
  })

  test.each<[string, readonly string[], string]>([
    ['an error of the tool', ['everything', 'echo', '{"message":5}'], 'echo'],
    ['an unknown tool', ['everything', 'no-such-tool'], 'no-such-tool'],
    ['an unknown server', ['nowhere', 'echo'], 'there is no server nowhere'],
    ['a broken server', ['broken', 'echo'], 'broken'],
  ])('%s is a failure', async (_, args, message) => {
    const { code, stdout, stderr } = await dir.run(['tools', 'call', ...args])
    expect(stdout + stderr).toContain(message)
    expect(code).toBe(1)
  })
})

test('Ctrl-C in the middle of a call ends the servers that were started for it', async () => {
  const args = '{"duration":30,"steps":30}'
  const child = dir.start(['tools', 'call', 'everything', 'trigger-long-running-operation', args])
  const children = (): number[] => {
    const { stdout } = spawnSync('pgrep', ['-P', String(child.pid)], { encoding: 'utf8' })
    return stdout.trim() === '' ? [] : stdout.trim().split('\n').map(Number)
  }
  await expect.poll(children, { timeout: 10_000 }).toHaveLength(1)
  const [pid] = children()
  const asked = performance.now()
  child.kill('SIGINT')
  expect(await once(child, 'exit')).toEqual([130, null])
  expect(performance.now() - asked).toBeLessThan(4000)
  expect(isAlive(pid)).toBe(false)
})

describe('with a running gateway', () => {
  test('asks it with the right key, says so with a wrong one, and starts its own without', async () => {
    const made = JSON.parse((await dir.run(['keys', 'create', 'A', 'a', '--json'])).stdout) as { key: string }
    const gateway = dir.start(['serve', '--json'])
    let log = ''
    gateway.stderr.on('data', (chunk) => (log += String(chunk)))
    await outputWith(gateway, '\n')
    const call = ['tools', 'call', 'everything', 'echo', '{"message":"hi"}']

    expect(await dir.run(call)).toMatchObject({ code: 0, stdout: 'Echo: hi\n' })
    expect(log).not.toContain('"server":"everything"')

    expect(await dir.run([...call, '--key', made.key])).toMatchObject({ code: 0, stdout: 'Echo: hi\n' })
    await expect.poll(() => log).toContain('"server":"everything"')

    const env = { MCP_GATEWAY_KEY: 'gw_wrong' }
    const refused = await dir.run(call, { env })
    expect(refused).toMatchObject({
      code: 5,
      stdout: '',
      stderr: expect.stringContaining('this API key is not known here'),
    })
    const json = await dir.run([...call, '--json'], { env })
    expect(json).toMatchObject({ code: 5, stderr: '' })
    expect(JSON.parse(json.stdout)).toMatchObject({
      error: { code: 'CLI_CREDENTIALS_REFUSED', gatewayCode: 'AUTH_KEY_UNKNOWN' },
    })

    const tested = await dir.run(['servers', 'test', 'everything'], { env: { MCP_GATEWAY_KEY: made.key } })
    expect(tested).toMatchObject({ code: 0, stderr: expect.stringContaining('asked the gateway at') })
    expect(log).not.toContain(made.key)
    gateway.kill()
    await once(gateway, 'exit')
  })
})
