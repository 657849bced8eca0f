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
  /** Keys may have a `rateLimit`. */
  readonly auth?: unknown
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
  const limits = limitsOf(rateLimit, file['auth'])
  const addresses = addressesOf(ipFilter)
  const found = { mode: policyMode, policies, limits, addresses, trustedProxies, redaction, toolGuard }
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined && value !== null))
}

/** What callers are held to that have a rate of their own. */
const OWN_LIMIT = { id: 'own-rate', per: ['caller'], rate: 'own' }
const DEFAULT_LIMIT = { id: 'default', per: ['caller'], tiers: { free: '10/min', paid: 'unlimited' } }

/** The limits that are written out, or what `defaultPerMinute` makes of itself; and that of the keys. */
function limitsOf(section: unknown, auth: unknown): unknown {
  if (!isRaw(section)) return hasOwnRates(auth) ? [OWN_LIMIT] : undefined
  const { limits, defaultPerMinute, burstMultiplier = 1 } = section
  if (limits !== undefined && limits !== null) return Array.isArray(limits) ? [...limits, OWN_LIMIT] : limits
  if (defaultPerMinute === undefined || defaultPerMinute === null) return [DEFAULT_LIMIT, OWN_LIMIT]
  const perMinute = Number(defaultPerMinute)
  const rate = `${perMinute}/min`
  const burst = Math.max(1, Math.floor(perMinute * Number(burstMultiplier)))
  // What is no rate is the schema's to report.
  return parseRate(rate) === undefined ? undefined : [{ id: 'default', per: ['caller'], rate, burst }, OWN_LIMIT]
}

/** `rateLimit` of a key, in the file or, once it was read, among its attributes. */
export function hasOwnRates(auth: unknown): boolean {
  const keys = isRaw(auth) && Array.isArray(auth['keys']) ? auth['keys'].filter(isRaw) : []
  return keys.some(
    ({ rateLimit, attributes }) =>
      (rateLimit ?? (isRaw(attributes) ? attributes['rateLimit'] : undefined)) !== undefined,
  )
}

/** `{ mode, ips }` is the one list that mode names, and `enabled: false` none. */
function addressesOf(section: unknown): unknown {
  if (!isRaw(section)) return section
  const { enabled = true, mode, ips, ...lists } = section
  if (enabled === false) return undefined
  if (mode === undefined && ips === undefined) return lists
  return mode === 'allow' || mode === 'deny' ? { ...lists, [mode]: ips ?? [] } : lists
}

function isRaw(value: unknown): value is Raw {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** `policies[0].rules[1].tool` of the policy is the same place in gateway.yaml, below its own section. */
function placeOf(path: string): Path {
  const [section = '', ...rest] = path.split(/[.[\]]+/).filter((step) => step !== '')
  return [...(PLACES[section] ?? [section]), ...rest.map((step) => (/^\d+$/.test(step) ? Number(step) : step))]
}
