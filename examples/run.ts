// pnpm examples: runs every numbered story in a process of its own, and fails when one does.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync } from 'node:fs'
import { dirname, join } from 'node:path'

const TIMEOUT_MS = 60_000

type Outcome = { readonly name: string; readonly passed: boolean; readonly seconds: string }

async function runExample(file: string): Promise<Outcome> {
  const from = performance.now()
  console.log(`\n== ${dirname(file)}`)
  const signal = AbortSignal.timeout(TIMEOUT_MS)
  // The export condition that this process was started with goes along: with it, packages run from their sources.
  const child = spawn(process.execPath, [...process.execArgv, join(import.meta.dirname, file)], {
    stdio: 'inherit',
    signal,
  })
  const passed = await once(child, 'exit').then(
    ([code]) => code === 0,
    (error: unknown) => {
      console.error(`ended after ${TIMEOUT_MS / 1000} s: ${String(error)}`)
      return false
    },
  )
  return { name: dirname(file), passed, seconds: ((performance.now() - from) / 1000).toFixed(1) }
}

const outcomes: Outcome[] = []
for (const file of globSync('[0-9]*/main.ts', { cwd: import.meta.dirname }).sort())
  outcomes.push(await runExample(file))
console.log()
console.table(Object.fromEntries(outcomes.map(({ name, passed, seconds }) => [name, { passed, seconds }])))
if (outcomes.length === 0 || outcomes.some(({ passed }) => !passed)) process.exitCode = 1
