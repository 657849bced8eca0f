/** Limits as they are written: `{ id: search, per: [caller, tool], rate: 10/min, burst: 20, concurrent: 5 }`. */
import { entries, integer, items, members, oneOf, report, required, text, type Field } from '../document/reader.ts'
import { readGlobs } from '../rule.ts'

/** `count` calls in `windowMs`, and at most `burst` at once. Spread over time; see gcra.ts. */
export type Rate = { readonly count: number; readonly windowMs: number; readonly burst: number }

/** What a limit counts separately. Without any, one count for everybody. */
export type Dimension = 'caller' | 'tenant' | 'server' | 'tool' | 'address'

export type Limit = {
  readonly id: string
  readonly per: readonly Dimension[]
  readonly server: readonly string[]
  readonly tool: readonly string[]
  /** Globs over roles; `*` for everybody. */
  readonly roles: readonly string[]
  /** The rate of each tier, or one for all. `unlimited` is said, never implied. `own`: the caller's `perMinute`, if it has one. */
  readonly rate?: Rate | 'unlimited' | 'own' | Readonly<Record<string, Rate | 'unlimited'>>
  /** Calls at the same time. */
  readonly concurrent?: number
  /** `named`: counts only calls that a rule's obligation `{ limit: <id> }` sends here. */
  readonly applies: 'always' | 'named'
}

const DIMENSIONS: readonly Dimension[] = ['caller', 'tenant', 'server', 'tool', 'address']
const UNITS: Readonly<Record<string, number>> = {
  s: 1000,
  sec: 1000,
  min: 60_000,
  h: 3_600_000,
  hour: 3_600_000,
  day: 86_400_000,
}
const MAX_LIMITS = 200
const MAX_TIERS = 50
const MAX_COUNT = 1_000_000_000
/** The distance between two calls is counted in whole microseconds: faster rates would be rounded by more than 1 %. */
const MAX_COUNT_PER_MS = 10
const MAX_WINDOW_MS = 31 * 86_400_000

/** What holds when nobody configures anything: seed rows 3.13, 3.14 and 3.41. */
export const DEFAULT_LIMITS: readonly Limit[] = [
  {
    id: 'default',
    per: ['caller'],
    server: ['*'],
    tool: ['*'],
    roles: ['*'],
    rate: { free: { count: 10, windowMs: 60_000, burst: 10 }, paid: 'unlimited' },
    applies: 'always',
  },
]

/** `10/min`, `5/s`, `1000/day`, `100/15min`. `undefined` when it is no rate. */
export function parseRate(source: string, burst?: number): Rate | undefined {
  const [, count = '', times = '1', unit = ''] = /^(\d{1,10})\/(\d{1,5})?([a-z]{1,4})$/.exec(source) ?? []
  const windowMs = Number(times) * (Object.hasOwn(UNITS, unit) ? (UNITS[unit] ?? 0) : 0)
  const whole = Number(count)
  if (!(whole >= 1 && whole <= MAX_COUNT && windowMs >= 1 && windowMs <= MAX_WINDOW_MS)) return undefined
  if (whole / windowMs > MAX_COUNT_PER_MS) return undefined
  return { count: whole, windowMs, burst: burst ?? whole }
}

export function readLimits(field: Field): readonly Limit[] | undefined {
  const read = items(field, MAX_LIMITS)?.map(readLimit)
  if (!read?.every((one) => one !== undefined)) return undefined
  const ids = read.map(({ id }) => id)
  const twin = ids.find((id, index) => ids.indexOf(id) !== index)
  return twin === undefined ? read : report(field, `two limits have the id "${twin}"`)
}

function readLimit(field: Field): Limit | undefined {
  const known = ['id', 'per', 'server', 'tool', 'roles', 'rate', 'burst', 'tiers', 'concurrent', 'applies'] as const
  const found = members(field, known)
  const idField = found && required(field, found, 'id')
  if (found === undefined || idField === undefined) return undefined
  const id = readId(idField)
  const per = found.per
    ? items(found.per, DIMENSIONS.length)?.map((one) => oneOf(one, DIMENSIONS))
    : ['caller' as const]
  const server = found.server ? readGlobs(found.server) : ['*']
  const tool = found.tool ? readGlobs(found.tool) : ['*']
  const roles = found.roles ? readGlobs(found.roles) : ['*']
  const applies = found.applies ? oneOf(found.applies, ['always', 'named']) : 'always'
  const concurrent = found.concurrent && integer(found.concurrent, 1, 1_000_000)
  const rate = readRates(field, found)
  if (found.rate === undefined && found.tiers === undefined && found.concurrent === undefined) {
    return report(field, 'limits nothing: it needs "rate", "tiers" or "concurrent"')
  }
  if (id === undefined || !per?.every((one) => one !== undefined) || applies === undefined) return undefined
  if (server === undefined || tool === undefined || roles === undefined) return undefined
  if ((found.rate ?? found.tiers) !== undefined && rate === undefined) return undefined
  if (found.concurrent && concurrent === undefined) return undefined
  return { id, per, server, tool, roles, ...(rate && { rate }), ...(concurrent && { concurrent }), applies }
}

/** It stands in a header, between quotes. */
function readId(field: Field): string | undefined {
  const id = text(field, 100)
  if (id === undefined || /^[\w.-]+$/.test(id)) return id
  return report(field, 'may have letters, digits and "_", ".", "-"')
}

type Found = Partial<Record<'rate' | 'burst' | 'tiers', Field>>

function readRates(field: Field, { rate, burst, tiers }: Found): Limit['rate'] | undefined {
  if (rate !== undefined && tiers !== undefined) return report(field, 'has both "rate" and "tiers"')
  if (rate?.value === 'own') return burst === undefined ? 'own' : report(burst, 'belongs to a rate that is written out')
  if (rate !== undefined) return readRate(rate, burst)
  if (tiers === undefined) return burst ? report(burst, 'belongs to a "rate"') : undefined
  if (burst !== undefined) return report(burst, 'belongs to a "rate"; in tiers write { rate: 10/min, burst: 20 }')
  const read = entries(tiers, MAX_TIERS)?.map(([name, one]) => [name, readTier(one)] as const)
  if (read === undefined || read.some(([, one]) => one === undefined)) return undefined
  // Whoever has no tier, or one that is not here, is on the free one.
  if (!read.some(([name]) => name === 'free'))
    return report(tiers, 'needs "free", which holds for callers without a tier')
  return Object.fromEntries(read.flatMap(([name, one]) => (one === undefined ? [] : [[name, one] as const])))
}

function readTier(field: Field): Rate | 'unlimited' | undefined {
  if (typeof field.value === 'string') return readRate(field, undefined)
  const found = members(field, ['rate', 'burst'])
  const rate = found && required(field, found, 'rate')
  return rate && readRate(rate, found.burst)
}

function readRate(field: Field, burstField: Field | undefined): Rate | 'unlimited' | undefined {
  const source = text(field, 32)
  const burst = burstField && integer(burstField, 1, MAX_COUNT)
  if (source === undefined || (burstField && burst === undefined)) return undefined
  if (source === 'unlimited') return burst === undefined ? source : report(field, '"unlimited" has no burst')
  return (
    parseRate(source, burst) ?? report(field, 'must be a rate like 10/min, 5/s, 100/15min or 1000/day, or "unlimited"')
  )
}
