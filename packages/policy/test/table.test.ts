import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  createPolicyEngine,
  formatCaseResults,
  parsePolicyFile,
  parsePolicyTable,
  runPolicyTable,
} from '@mcp-gateway/policy'
import { describe, expect, test } from 'vitest'

const tables = join(import.meta.dirname, 'tables')
const read = (file: string): string => readFileSync(join(tables, file), 'utf8')

const { policies, warnings } = parsePolicyFile(read('company.policy.yaml'), 'company.policy.yaml')
const table = parsePolicyTable(read('company.cases.yaml'), 'company.cases.yaml')

describe('the table of a company', () => {
  const results = runPolicyTable(createPolicyEngine({ policies }), table)

  test('has at least 200 cases, of every answer', () => {
    expect(results.length).toBeGreaterThanOrEqual(200)
    for (const answer of ['allow', 'deny', 'unknown']) {
      expect(results.filter((one) => one.case.expect === answer).length).toBeGreaterThan(50)
    }
  })

  test('every case comes out as it says, and tools/list agrees', () => {
    expect(formatCaseResults(results)).toBe(`${results.length} passed, 0 failed`)
  })

  test('the policies have nothing odd about them', () => expect(warnings).toEqual([]))

  test('without the policies no case is allowed', () => {
    const none = runPolicyTable(createPolicyEngine({ policies: [] }), table)
    expect(none.filter(({ got }) => got !== 'unknown')).toEqual([])
  })

  test('a case that fails says what was expected and what decided', () => {
    const wrong = table.cases.slice(0, 1).map((one) => ({ ...one, expect: 'deny' as const, rule: 'everyone/other' }))
    const said = formatCaseResults(runPolicyTable(createPolicyEngine({ policies }), { ...table, cases: wrong }))
    expect(said).toBe(
      'FAILED nobody calls docs/search_pages: expected deny by everyone/other, got allow by everyone/docs\n0 passed, 1 failed',
    )
  })
})
