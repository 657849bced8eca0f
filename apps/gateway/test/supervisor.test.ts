// When a server that fails is tried again. Time and chance are the test's.
import { describe, expect, it } from 'vitest'
import { createSupervisor } from '../src/supervisor.ts'

function supervised(random = 1) {
  let at = 1_000_000
  const supervisor = createSupervisor({ serverId: 's', now: () => at, random: () => random })
  const refused = () =>
    supervisor.admit().then(
      () => undefined,
      (error: { code: string; data: { retryAfterMs: number } }) => ({ code: error.code, ...error.data }),
    )
  return { supervisor, refused, pass: (ms: number) => void (at += ms) }
}

describe('a server that cannot be started', () => {
  it('is tried again after twice the time of the failure before, less what chance takes off', async () => {
    const { supervisor, refused, pass } = supervised()
    for (const wait of [250, 500, 1000, 2000]) {
      supervisor.failed(new Error('no'))
      expect(supervisor.status()).toBe('backoff')
      if (wait > 1000) expect(await refused()).toEqual({ code: 'WIRE_UPSTREAM_START_FAILED', retryAfterMs: wait })
      pass(wait)
      expect(supervisor.status()).toBe('clear')
      expect(await refused()).toBeUndefined()
    }
    const lucky = supervised(0)
    lucky.supervisor.failed(new Error('no'))
    expect(lucky.supervisor.status()).toBe('clear')
  })

  it('five times opens the circuit: after half a minute one attempt at a time', async () => {
    const { supervisor, refused, pass } = supervised(0)
    for (let failure = 0; failure < 5; failure += 1) supervisor.failed(new Error('still no'))
    expect(supervisor.status()).toBe('open')
    expect(supervisor.lastError()).toBe('still no')
    expect(await refused()).toMatchObject({ retryAfterMs: 30_000 })
    pass(30_000)
    expect(await refused()).toBeUndefined()
    // The first is still trying.
    expect(await refused()).toMatchObject({ code: 'WIRE_UPSTREAM_START_FAILED' })
    supervisor.failed(new Error('no'))
    expect(await refused()).toMatchObject({ retryAfterMs: 30_000 })
    pass(30_000)
    await refused()
    supervisor.started()
    expect(supervisor.status()).toBe('clear')
  })

  it('is given a new chance by a new configuration', async () => {
    const { supervisor, refused } = supervised()
    for (let failure = 0; failure < 9; failure += 1) supervisor.failed(new Error('no'))
    supervisor.reset()
    expect(await refused()).toBeUndefined()
    expect(supervisor.lastError()).toBeUndefined()
  })
})

describe('a server that refuses somebody', () => {
  it('is not put off, and says why until it has started', async () => {
    const { supervisor, refused } = supervised()
    for (let round = 0; round < 9; round += 1) supervisor.refused(new Error('no token of ours'))
    expect(supervisor.status()).toBe('clear')
    expect(await refused()).toBeUndefined()
    expect(supervisor.lastError()).toBe('no token of ours')
    supervisor.started()
    expect(supervisor.lastError()).toBeUndefined()
  })
})

describe('a server that ends by itself', () => {
  it('is started again at once when it had worked, and put off when it never did', async () => {
    const { supervisor, refused } = supervised()
    supervisor.failed(new Error('no'))
    supervisor.crashed('signal SIGKILL', true)
    expect(await refused()).toBeUndefined()
    expect(supervisor.lastError()).toBe('signal SIGKILL')
    for (let crash = 0; crash < 4; crash += 1) supervisor.crashed('exit code 1', false)
    expect(await refused()).toMatchObject({ code: 'WIRE_UPSTREAM_START_FAILED' })
  })
})
