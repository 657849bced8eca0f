/** `pnpm --filter @mcp-gateway/policy bench`: each figure is the best of several rounds, on whatever machine this is. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import {
  compileAddresses,
  createLimiter,
  createPolicyEngine,
  createRedactor,
  DETECTORS,
  type Decision,
  type PolicyEngine,
} from '@mcp-gateway/policy'
import { createCedarEngine, type CedarModule } from '@mcp-gateway/policy/cedar'
import { createRedisLimitStore } from '@mcp-gateway/policy/stores/redis'
import { createSqliteLimitStore } from '@mcp-gateway/policy/stores/sqlite'
import { connect, redisMissing, startRedis } from '../test/support/redis.ts'
import { hostile, prose } from './hostile.ts'
import { asCedar, asCel, asRules, calls } from './policies.ts'

const MEGABYTE = 1_000_000
const ROUNDS = 7

const subjects = new Map(
  calls.map(([role]) => [role, { id: role, roles: Object.freeze([role]), attributes: { customerId: 'c1' } }] as const),
)
const requests = calls.map(([role, server, tool, args, allowed]) => {
  const subject = subjects.get(role)
  if (subject === undefined) throw new TypeError(role)
  return { subject, call: { server, tool, args }, allowed }
})

/** Calls a second, best of some rounds. */
function rate(count: number, ask: (index: number) => unknown): number {
  let best = 0
  let kept: unknown
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now()
    for (let index = 0; index < count; index++) kept = ask(index)
    best = Math.max(best, (count / (performance.now() - start)) * 1000)
  }
  // Whoever optimizes the loop away has to know this.
  if (kept === NEVER) throw new Error('unreachable')
  return best
}
const NEVER = Symbol('never')
const ALWAYS: Decision = { allowed: true, rule: 'none', reason: '', obligations: [] }

function print(name: string, perSecond: number, note = ''): void {
  console.log(`${name.padEnd(46)} ${Math.round(perSecond).toLocaleString('en').padStart(14)} /s  ${note}`)
}

function decisions(): void {
  const cedar = createRequire(import.meta.url)('@cedar-policy/cedar-wasm/nodejs') as CedarModule
  const engines: readonly (readonly [string, PolicyEngine, number])[] = [
    ['rules', createPolicyEngine({ policies: asRules }), 2_000_000],
    ['CEL', createPolicyEngine({ policies: asCel }), 20_000],
    ['Cedar', createCedarEngine({ cedar, policies: asCedar }), 1500],
  ]
  const nothing: PolicyEngine['decide'] = () => ALWAYS
  print(
    'an empty function',
    rate(5_000_000, (index) => {
      const request = requests[index & 7]
      return request && nothing(request.subject, request.call)
    }),
  )
  let own = 0
  for (const [name, engine, count] of engines) {
    for (const { subject, call, allowed } of requests) {
      if (engine.decide(subject, call).allowed !== allowed)
        throw new Error(`${name} answers wrong: ${JSON.stringify(call)}`)
    }
    const perSecond = rate(count, (index) => {
      const request = requests[index & 7]
      return request && engine.decide(request.subject, request.call)
    })
    if (own === 0) own = perSecond
    print(
      `50 policies as ${name}`,
      perSecond,
      name === 'rules' ? '' : `rules are ${(own / perSecond).toFixed(0)} times as fast`,
    )
  }
  const fresh = createPolicyEngine({ policies: asRules })
  print(
    '50 policies as rules, roles not frozen',
    rate(300_000, (index) => {
      const request = requests[index & 7]
      return request && fresh.decide({ ...request.subject, roles: [...request.subject.roles] }, request.call)
    }),
  )
}

async function limits(): Promise<void> {
  const wide = {
    id: 'wide',
    per: ['caller', 'tool'],
    server: ['*'],
    tool: ['*'],
    roles: ['*'],
    rate: { count: 1e9, windowMs: 1e8, burst: 1e9 },
    applies: 'always',
  } as const
  const callers = Array.from({ length: 1000 }, (_, index) => ({ id: `caller-${index}`, roles: [] }))
  const ask = async (limiter: ReturnType<typeof createLimiter>, count: number, workers: number): Promise<number> => {
    let asked = 0
    const start = performance.now()
    await Promise.all(
      Array.from({ length: workers }, async () => {
        while (asked++ < count) {
          const { allowed, degraded } = await limiter.admit(callers[asked % 1000] ?? { id: 'x', roles: [] }, {
            server: 's',
            tool: 't',
          })
          if (!allowed || degraded) throw new Error('refused')
        }
      }),
    )
    return (count / (performance.now() - start)) * 1000
  }
  const memory = createLimiter({ limits: [wide] })
  await ask(memory, 100_000, 1)
  print('rate limit, memory', await ask(memory, 500_000, 1))
  dayQuota()
  if (redisMissing !== undefined) {
    console.log(`rate limit, Redis: ${redisMissing}`)
    return
  }
  await using server = await startRedis()
  const redis = connect(server.port)
  await redis.connect()
  const store = createRedisLimitStore({ send: ([name, ...args]) => redis.call(name, ...args) })
  const limiter = createLimiter({ limits: [wide], store, timeoutMs: 5000 })
  await ask(limiter, 5000, 1)
  print('rate limit, Redis, one after the other', await ask(limiter, 10_000, 1))
  print('rate limit, Redis, 64 at once', await ask(limiter, 60_000, 64))
  redis.disconnect()
}

/** On a disk: what it costs is mostly its share of a commit for each block. */
function dayQuota(): void {
  const folder = mkdtempSync(join(tmpdir(), 'mcp-gateway-bench-'))
  const database = new DatabaseSync(join(folder, 'gateway.db'))
  database.exec('pragma journal_mode=wal; pragma synchronous=full')
  const store = createSqliteLimitStore({ open: () => database })
  print(
    'quota of a day, SQLite',
    rate(1_000_000, () => store.count({ key: 'acme', limit: 100_000_000 })),
  )
  database.close()
  rmSync(folder, { recursive: true })
}

function addresses(): void {
  const has = compileAddresses([
    '10.0.0.0/8',
    '2001:db8::/32',
    ...Array.from({ length: 100 }, (_, index) => `172.16.${index}.0/24`),
  ])
  print(
    '102 networks, IPv4',
    rate(200_000, (index) => has(`203.0.113.${index & 255}`)),
  )
  print(
    '102 networks, IPv6',
    rate(100_000, (index) => has(`2001:db9::${(index & 255).toString(16)}`)),
  )
}

function redaction(): void {
  const rule = {
    id: 'all',
    server: ['*'],
    tool: ['*'],
    on: ['results'],
    detectors: DETECTORS,
    fields: [],
    patterns: [],
    applies: 'always',
  } as const
  const redactor = createRedactor([rule]).forCall('s', 't').results
  const timeOf = (text: string): number => 1000 / rate(1, () => redactor.text(text).value.length)
  // From bytes, as what arrives: the result of slice() is a view, which every look at a character has to go through.
  const filled = (pattern: string, chars: number): string =>
    Buffer.from(pattern.repeat(Math.ceil(chars / pattern.length)).slice(0, chars)).toString()
  // Texts of the usual size first, so that what is measured is what a process runs that is no longer young.
  for (let warm = 0; warm < 300; warm++) {
    for (const pattern of [prose, ...Object.values(hostile)]) redactor.text(filled(pattern, 2000))
  }
  const usual = timeOf(filled(prose, MEGABYTE))
  console.log(`\nredaction of 1 MB, all detectors${' '.repeat(17)}      ms   × prose   × half of it`)
  const rows = Object.entries({ prose, ...hostile }).map(([name, pattern]) => {
    const [whole, half] = [timeOf(filled(pattern, MEGABYTE)), timeOf(filled(pattern, MEGABYTE / 2))]
    return {
      name,
      whole,
      line: `${name.padEnd(46)} ${whole.toFixed(1).padStart(9)} ${(whole / usual).toFixed(2).padStart(9)} ${(whole / half).toFixed(2).padStart(14)}`,
    }
  })
  for (const { line } of rows) console.log(line)
  const worst = Math.max(...rows.map(({ whole }) => whole))
  console.log(
    `worst: ${worst.toFixed(1)} ms, ${(worst / usual).toFixed(2)} times prose (${(1000 / usual).toFixed(0)} MB/s)`,
  )
}

console.log(`Node ${process.version}, ${cpus()[0]?.model ?? 'unknown'} × ${cpus().length}\n`)
decisions()
await limits()
addresses()
redaction()
