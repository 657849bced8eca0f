/** One replica: asks for `calls` calls as fast as it can and says how many were admitted. `node limit-worker.ts PORT CALLS` */
import { once } from 'node:events'
import { createLimiter } from '@mcp-gateway/policy'
import { createRedisLimitStore } from '@mcp-gateway/policy/stores/redis'
import { connect } from './redis.ts'

const [port = '', calls = ''] = process.argv.slice(2)
const redis = connect(Number(port))
await redis.connect()

const limiter = createLimiter({
  limits: [
    {
      id: 'daily',
      per: ['caller'],
      server: ['*'],
      tool: ['*'],
      roles: ['*'],
      rate: { count: 500, windowMs: 86_400_000, burst: 500 },
      applies: 'always',
    },
  ],
  store: createRedisLimitStore({ send: ([name, ...args]) => redis.call(name, ...args) }),
  timeoutMs: 20_000,
})
const subject = { id: 'alice', roles: [] }
let asked = 0
let admitted = 0
let degraded = 0
const worker = async (): Promise<void> => {
  for (let call = 0; call < Number(calls) / 16; call++) {
    using admission = await limiter.admit(subject, { server: 'crm', tool: 'get' })
    asked++
    if (admission.allowed) admitted++
    if (admission.degraded) degraded++
  }
}
// All of them begin when the slowest is ready, or the first would be done before the last has started.
console.log('ready')
await once(process.stdin, 'data')
process.stdin.destroy()
await Promise.all(Array.from({ length: 16 }, worker))
redis.disconnect()
console.log(JSON.stringify({ asked, admitted, degraded }))
