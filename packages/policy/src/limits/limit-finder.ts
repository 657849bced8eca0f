/** Which limits are about a call, and the key under which each counts it. */
import { hash } from 'node:crypto'
import { compileGlobs } from '../glob.ts'
import { createPairCache, type PairCache } from '../pair-cache.ts'
import type { RateRequest } from '../store.ts'
import type { Subject, ToolCall } from '../subject.ts'
import { intervalOf } from './gcra.ts'
import type { Dimension, Limit, Rate } from './limit.ts'

/** A limit that is about a call. All that can be told before it is asked is here: the same call comes again and again. */
export type AppliedLimit = {
  readonly limit: Limit
  readonly key: string
  /** What its bucket is asked; undefined when the caller's tier is unlimited. */
  readonly request: RateRequest | undefined
  readonly concurrent: number | undefined
  /** Calls in a window, as `RateLimit-Limit` has it. */
  readonly count: string
  /** As `RateLimit-Policy` has it. */
  readonly policy: string
  /** As an admission names it. */
  readonly rule: string
}

/** Those about one call; of `requests`, one for each that has a rate, in order. */
export type AppliedLimits = {
  readonly limits: readonly AppliedLimit[]
  readonly rated: readonly AppliedLimit[]
  readonly requests: readonly RateRequest[]
  readonly holdsPlaces: boolean
}

/** (server, tool) whose limits are remembered, and of one subject those with their keys. */
const MAX_REMEMBERED = 20_000
const MAX_OF_SUBJECT = 1000
/** A longer key is replaced by its digest. */
const MAX_KEY_CHARS = 512

type Compiled = {
  readonly limit: Limit
  readonly hasRole: (roles: readonly string[]) => boolean
  readonly isAbout: (server: string, tool: string) => boolean
  readonly rates: (subject: Subject) => Timed | undefined
}

type Timed = { readonly rate: Rate; readonly intervalUs: number; readonly count: string; readonly policy: string }

export function createLimitFinder(
  limits: readonly Limit[],
): (subject: Subject, call: ToolCall, named: readonly string[]) => AppliedLimits {
  const compiled = limits.map(compile)
  const remembered = createPairCache<readonly Compiled[]>(MAX_REMEMBERED)
  const ofSubjects = new WeakMap<Subject, PairCache<AppliedLimits>>()
  const knowsAddresses = limits.some(({ per }) => per.includes('address'))

  const about = (server: string, tool: string): readonly Compiled[] => {
    let found = remembered.get(server, tool)
    if (found === undefined) {
      found = compiled.filter(({ isAbout }) => isAbout(server, tool))
      remembered.set(server, tool, found)
    }
    return found
  }
  const find = (subject: Subject, call: ToolCall, named: readonly string[]): AppliedLimits => {
    const limits: AppliedLimit[] = []
    for (const { limit, hasRole, rates } of about(call.server, call.tool)) {
      if (limit.applies === 'named' && !named.includes(limit.id)) continue
      if (!hasRole(subject.roles)) continue
      const timed = rates(subject)
      if (timed === undefined && limit.concurrent === undefined) continue
      const key = keyOf(limit, subject, call)
      const request = timed && { key, intervalUs: timed.intervalUs, burst: timed.rate.burst }
      const { policy = '', count = '' } = timed ?? {}
      const rule = `limits/${limit.id}`
      limits.push({ limit, key, request, concurrent: limit.concurrent, count, policy, rule })
    }
    const rated = limits.filter(({ request }) => request !== undefined)
    const requests = rated.flatMap(({ request = [] }) => request)
    return { limits, rated, requests, holdsPlaces: limits.some(({ concurrent }) => concurrent !== undefined) }
  }
  return (subject, call, named) => {
    if (named.length > 0 || knowsAddresses) return find(subject, call, named)
    let own = ofSubjects.get(subject)
    if (own === undefined) ofSubjects.set(subject, (own = createPairCache(MAX_OF_SUBJECT)))
    let applied = own.get(call.server, call.tool)
    if (applied === undefined) {
      applied = find(subject, call, named)
      own.set(call.server, call.tool, applied)
    }
    return applied
  }
}

function compile(limit: Limit): Compiled {
  const [server, tool, role] = [compileGlobs(limit.server), compileGlobs(limit.tool), compileGlobs(limit.roles)]
  const everybody = limit.roles.includes('*')
  return {
    limit,
    hasRole: everybody ? () => true : (roles) => roles.some(role),
    isAbout: (serverName, toolName) => server(serverName) && tool(toolName),
    rates: compileRates(limit),
  }
}

function compileRates({ id, rate }: Limit): Compiled['rates'] {
  if (rate === undefined || rate === 'unlimited') return () => undefined
  if (rate === 'own') return ({ perMinute }) => (perMinute === undefined ? undefined : time(id, minutely(perMinute)))
  if (isRate(rate)) {
    const timed = time(id, rate)
    return () => timed
  }
  const tiers = new Map(
    Object.entries(rate).map(([name, one]) => [name, one === 'unlimited' ? undefined : time(id, one)]),
  )
  const free = tiers.get('free')
  // A tier that nobody configured is no way around a limit.
  return ({ tier }) => (tier !== undefined && tiers.has(tier) ? tiers.get(tier) : free)
}

function minutely(count: number): Rate {
  return { count, windowMs: 60_000, burst: count }
}

function time(id: string, rate: Rate): Timed {
  const policy = `"${id}";q=${rate.count};w=${Math.ceil(rate.windowMs / 1000)}`
  return { rate, intervalUs: intervalOf(rate), count: String(rate.count), policy }
}

function isRate(rate: Exclude<Limit['rate'], undefined | string>): rate is Rate {
  return typeof rate['count'] === 'number'
}

/** Each part with its length in front, so that no two callers can meet under one key by the choice of their names. */
function keyOf({ id, per }: Limit, subject: Subject, call: ToolCall): string {
  let key = `${id.length}:${id}`
  for (const dimension of per) {
    const value = valueOf(dimension, subject, call)
    key += value === undefined ? ',-' : `,${value.length}:${value}`
  }
  return key.length <= MAX_KEY_CHARS ? key : `${id.length}:${id}#${hash('sha256', key)}`
}

function valueOf(dimension: Dimension, subject: Subject, call: ToolCall): string | undefined {
  switch (dimension) {
    case 'caller':
      // Two tenants may each have an "alice"; a tenant's length begins with a digit and a caller without one with "/".
      return subject.tenantId === undefined
        ? `/${subject.id}`
        : `${subject.tenantId.length}:${subject.tenantId}/${subject.id}`
    case 'tenant':
      return subject.tenantId
    case 'server':
      return call.server
    case 'tool':
      // A tool's name means something on its server only.
      return `${call.server.length}:${call.server}/${call.tool}`
    default:
      return call.address
  }
}
