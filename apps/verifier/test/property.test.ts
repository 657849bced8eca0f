import fc from 'fast-check'
import { expect, test } from 'vitest'
import { check, checkpointLine, exportOf, makeLog, proofOf, signed, textOf } from './fixture.ts'

const log = await makeLog(20)
const proof = Buffer.from(textOf(await proofOf(log, 7, 20)))
const whole = Buffer.from(textOf(await exportOf(log, 5)))
const RUNS = Number(process.env['VERIFIER_PROPERTY_RUNS'] ?? 10_000)

const law = (bundle: Buffer) =>
  fc.asyncProperty(fc.nat(bundle.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
    const changed = Buffer.from(bundle)
    changed[at] = (changed[at] as number) ^ flip
    const { code, findings } = await check(changed)
    return [10, 20, 30].includes(code) && findings.length > 0 && findings.every((one) => one.code !== 'FAILED')
  })

test('any one changed byte in a proof ≡ not verified', { timeout: 240_000 }, async () => {
  expect((await check(proof)).code).toBe(0)
  await fc.assert(law(proof), { numRuns: RUNS })
})

test('any one changed byte in an export ≡ not verified', { timeout: 240_000 }, async () => {
  expect((await check(whole)).code).toBe(0)
  await fc.assert(law(whole), { numRuns: Math.ceil(RUNS / 5) })
})

test('whatever the file is, the program says so and does not fail', { timeout: 240_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
      const { code, findings } = await check(Buffer.concat([Buffer.from(bytes), Buffer.from('\n')]))
      return code !== 0 && findings.every((one) => one.code !== 'FAILED')
    }),
    { numRuns: 2000 },
  )
})

test('a proof that is cut anywhere ≡ not verified', async () => {
  for (let end = 0; end < proof.length; end += 1) expect((await check(proof.subarray(0, end))).code).not.toBe(0)
})

test('a log that lost all its entries is not verified, and one that never had any is', async () => {
  const [head = ''] = await proofOf(log, 7, 20)
  const lost = await check(textOf([head, checkpointLine(await signed(log, 20))]))
  expect(lost).toMatchObject({ code: 10, findings: [{ code: 'ROLLED_BACK', seq: 0 }] })
  expect((await check(textOf([head, checkpointLine(await signed(await makeLog(0), 0))]))).code).toBe(0)
  expect((await check(textOf([head]))).code).toBe(10)
})

test('a checkpoint of another history beside a proof is found', async () => {
  const [head = '', entry = ''] = await proofOf(log, 7, 20)
  const other = checkpointLine(await signed(await makeLog(20, 'forged'), 20))
  for (const lines of [
    [head, other, entry],
    [head, entry, other],
  ])
    expect(await check(textOf(lines))).toMatchObject({ code: 10, findings: [{ code: 'SPLIT_VIEW' }] })
})
