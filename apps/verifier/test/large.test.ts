/** A log of VERIFIER_LARGE_ENTRIES entries (20,000 when not given), made and verified in constant memory. */
import { spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { closeSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { createSigner, formatCheckpoint, signCheckpoint } from '@mcp-gateway/audit-chain'
import { canonicalize, createChainVerifier } from '@mcp-gateway/audit-chain/verify'
import { expect, test } from 'vitest'
import { checkpointLine, folder, head, ORIGIN } from './fixture.ts'

const ENTRIES = Number(process.env['VERIFIER_LARGE_ENTRIES'] ?? 20_000)
const MAX_RSS_MIB = 400
const main = join(import.meta.dirname, '../src/main.ts')

test(`${ENTRIES} entries are verified in memory that does not grow with them`, { timeout: 300_000 }, async () => {
  using home = folder()
  const file = join(home.path, 'large.jsonl')
  const signer = createSigner({ name: ORIGIN, privateKey: generateKeyPairSync('ed25519').privateKey })
  const chain = createChainVerifier({ origin: ORIGIN })
  const output = openSync(file, 'w')
  writeSync(output, `${head()}\n`)
  let text = ''
  for (let seq = 0; seq < ENTRIES; seq += 1) {
    const prev = Buffer.from(chain.finish().lastHash).toString('hex')
    const facts = { note: 'x'.repeat(300), reqBytes: 412, server: 'files', status: 'ok', tool: 'search' }
    const entry = { clk: 'ok', facts, id: `call-${seq}`, log: ORIGIN, prev, seq, ts: '2026-11-21T00:00:00.000Z' }
    const leaf = canonicalize({ ...entry, type: 'tool.call', v: 1 })
    chain.add(Buffer.from(leaf))
    text += `{"entry":${leaf}}\n`
    if (text.length < 1_000_000) continue
    writeSync(output, text)
    text = ''
  }
  const { rootHash, size, findings } = chain.finish()
  expect(findings).toEqual([])
  const checkpoint = { origin: ORIGIN, size, rootHash }
  expect(formatCheckpoint(checkpoint)).toContain(`\n${ENTRIES}\n`)
  writeSync(output, `${text}${checkpointLine(await signCheckpoint(checkpoint, signer))}\n`)
  closeSync(output)

  // The last line of stderr is what the process took at most.
  const measured = `process.on('exit',()=>process.stderr.write('\\n'+process.resourceUsage().maxRSS))`
  const from = performance.now()
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [
      '--conditions=@mcp-gateway/source',
      `--import=data:text/javascript,${encodeURIComponent(measured)}`,
      main,
      '--key',
      signer.verifierKey.text,
      '--no-state',
      '--json',
      file,
    ],
    { encoding: 'utf8' },
  )
  const seconds = (performance.now() - from) / 1000
  const rssMib = Number(stderr.split('\n').at(-1)) / 1024
  process.stderr.write(
    `${ENTRIES} entries: ${Math.round(ENTRIES / seconds)} /s, ${Math.round(rssMib)} MiB resident at most\n`,
  )
  expect({ status, report: JSON.parse(stdout) as unknown }).toMatchObject({ status: 0, report: { entries: ENTRIES } })
  if (ENTRIES >= 100_000) expect(stderr).toContain('100000 lines')
  expect(rssMib).toBeLessThan(MAX_RSS_MIB)
})
