// The suite's client scenarios against the gateway's upstream connector. Of those of `auth/` only the ones without a person: the
// gateway opens no browser; see docs/LIMITATIONS.md.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { describe, expect, it } from 'vitest'

import { run } from '../support/processes.ts'
import { scratchDirectory } from '../support/scratch-directory.ts'

const suite = fileURLToPath(import.meta.resolve('@modelcontextprotocol/conformance/dist/index.js'))
const client = fileURLToPath(new URL('client.ts', import.meta.url))
const TIMEOUT_MS = 60_000

const EXTENSIONS = 'extensions'

const scenarios: Readonly<Record<string, readonly string[]>> = {
  '2025-11-25': [
    'initialize',
    'tools_call',
    'elicitation-sep1034-client-defaults',
    'sse-retry',
    'json-schema-2020-12-preservation',
  ],
  '2026-07-28': [
    'tools_call',
    'request-metadata',
    'sep-2322-client-request-state',
    'http-standard-headers',
    'http-custom-headers',
    'http-invalid-tool-headers',
    'json-schema-ref-no-deref',
    'json-schema-2020-12-preservation',
  ],
  // On no revision's timeline: io.modelcontextprotocol/oauth-client-credentials.
  [EXTENSIONS]: ['auth/client-credentials-basic', 'auth/client-credentials-jwt'],
}

type Check = { readonly id: string; readonly name: string; readonly status: string; readonly errorMessage?: string }

describe.each(Object.keys(scenarios))('client scenarios of %s', (revision) => {
  it.each(scenarios[revision] ?? [])('%s', { timeout: TIMEOUT_MS }, async (scenario) => {
    using results = scratchDirectory()
    const command = `${process.execPath} --conditions=@mcp-gateway/source ${client}`
    const args = [
      suite,
      'client',
      '--command',
      command,
      '--scenario',
      scenario,
      ...(revision === EXTENSIONS ? [] : ['--spec-version', revision]),
    ]
    const { exitCode, stdout, stderr } = await run(
      { command: process.execPath, args: [...args, '--output-dir', results.path] },
      TIMEOUT_MS,
    )
    const files = readdirSync(results.path, { recursive: true, encoding: 'utf8' })
    const checks = files
      .filter((file) => file.endsWith('checks.json'))
      .flatMap((file) => readChecks(join(results.path, file)))
    const failed = checks.filter(({ status }) => status === 'FAILURE')
    expect(failed, stdout + stderr).toEqual([])
    expect(checks.filter(({ status }) => status === 'SUCCESS').length, stdout + stderr).toBeGreaterThan(0)
    expect(exitCode, stdout + stderr).toBe(0)
  })
})

function readChecks(file: string): Check[] {
  return JSON.parse(readFileSync(file, 'utf8')) as Check[]
}
