/** The sections of gateway.yaml that say who may do what, as `@mcp-gateway/policy` reads them. */
import { parseRate, PolicyError, toPolicyFile, type PolicyFile } from '@mcp-gateway/policy'
import type { Path, Problem } from './config-findings.ts'

/** Checked in their form only; what is inside is read by the package, which says what is wrong with it. */
export type PolicySections = {
  /** Absent: every caller may call everything. An empty list allows nothing. */
  readonly policies?: readonly unknown[] | undefined
  readonly policyMode: 'enforce' | 'dry-run'
  readonly rateLimit?: RateLimitConfig | undefined
  readonly ipFilter?: unknown
  readonly trustedProxies: readonly unknown[]
  readonly redaction?: readonly unknown[] | undefined
  readonly toolGuard?: unknown
}

export type RateLimitConfig = {
  readonly enabled: boolean
  readonly defaultPerMinute?: number | undefined
  readonly burstMultiplier: number
  readonly limits?: readonly unknown[] | undefined
  readonly onFailure: 'closed' | 'open' | 'local'
  /** Where replicas count together, `redis://…`; without one each counts in its own memory. */
  readonly redis?: string | undefined
}

type Raw = Readonly<Record<string, unknown>>

/** Where a section of the policy stands in gateway.yaml. */
const PLACES: Readonly<Record<string, Path>> = {
  mode: ['policyMode'],
  policies: ['policies'],
  limits: ['rateLimit', 'limits'],
  addresses: ['ipFilter'],
  trustedProxies: ['trustedProxies'],
  redaction: ['redaction'],
  toolGuard: ['toolGuard'],
}

/** @throws PolicyError POLICY_DOCUMENT_INVALID; not for sections that `checkPolicySections` had nothing to say about */
export function readPolicySections(sections: PolicySections): PolicyFile {
  return toPolicyFile(documentOf(sections))
}

/** What is wrong in these sections of the raw file. */
export function checkPolicySections(file: Raw): Problem[] {
  try {
    toPolicyFile(documentOf(file))
    return []
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error
    return error.findings.map(({ path, message }) => ({ path: placeOf(path), message }))
  }
}

function documentOf(file: Raw): Raw {
  const { policies, policyMode, rateLimit, ipFilter, trustedProxies, redaction, toolGuard } = file
  const limits = limitsOf(rateLimit)
  const found = { mode: policyMode, policies, limits, addresses: ipFilter, trustedProxies, redaction, toolGuard }
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined && value !== null))
}

/** The limits that are written out, or what `defaultPerMinute` makes of itself. */
function limitsOf(section: unknown): unknown {
  if (typeof section !== 'object' || section === null) return undefined
  const { limits, defaultPerMinute, burstMultiplier = 1 } = section as Raw
  if (limits !== undefined && limits !== null) return limits
  const rate = `${String(defaultPerMinute)}/min`
  const burst = Math.max(1, Math.floor(Number(defaultPerMinute) * Number(burstMultiplier)))
  // What is no rate is the schema's to report.
  return parseRate(rate) === undefined ? undefined : [{ id: 'default', per: ['caller'], rate, burst }]
}

/** `policies[0].rules[1].tool` of the policy is the same place in gateway.yaml, below its own section. */
function placeOf(path: string): Path {
  const [section = '', ...rest] = path.split(/[.[\]]+/).filter((step) => step !== '')
  return [...(PLACES[section] ?? [section]), ...rest.map((step) => (/^\d+$/.test(step) ? Number(step) : step))]
}
