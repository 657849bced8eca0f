/**
 * Reads the Prometheus text format 0.0.4 as strictly as its description says, so that what a test finds here a scraper finds.
 * https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
 */
export type Sample = {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}
export type Family = { readonly type: string; readonly help: string; readonly samples: Sample[] }

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const COMMENT = new RegExp(`^# (HELP|TYPE) (${NAME}) (.+)$`)
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(.*)\\})? ([+-]?Inf|NaN|[0-9.e+-]+)$`)
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/

/** @throws Error for what a scraper would refuse */
export function parsePrometheus(text: string): ReadonlyMap<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line has no end')
  const families = new Map<string, Family>()
  const helps = new Map<string, string>()
  let current: { name: string; family: Family } | undefined
  const seen = new Set<string>()
  for (const line of text.slice(0, -1).split('\n')) {
    if (line === '') continue
    const [, kind, name = '', rest = ''] = COMMENT.exec(line) ?? []
    if (kind === 'HELP') {
      if (helps.has(name)) throw new Error(`a second HELP of ${name}`)
      helps.set(name, rest)
    } else if (kind === 'TYPE') {
      if (families.has(name)) throw new Error(`a second TYPE of ${name}: its lines are not together`)
      current = { name, family: { type: rest, help: helps.get(name) ?? '', samples: [] } }
      families.set(name, current.family)
    } else {
      const sample = parseSample(line)
      if (current === undefined || familyOf(sample.name, current.family.type) !== current.name)
        throw new Error(`not below its TYPE: ${line}`)
      const key = sample.name + keyOf(sample.labels)
      if (seen.has(key)) throw new Error(`twice: ${line}`)
      seen.add(key)
      current.family.samples.push(sample)
    }
  }
  for (const [name, { type, samples }] of families) if (type === 'histogram') checkHistogram(name, samples)
  return families
}

function parseSample(line: string): Sample {
  const [, name = '', labelText = '', value = ''] = SAMPLE.exec(line) ?? []
  if (name === '') throw new Error(`no sample: ${line}`)
  const labels: Record<string, string> = {}
  for (let rest = labelText; rest !== '';) {
    const [all = '', label = '', text = ''] = LABEL.exec(rest) ?? []
    if (all === '') throw new Error(`no label: ${rest}`)
    if (label in labels) throw new Error(`the label ${label} twice: ${line}`)
    labels[label] = text.replaceAll(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped))
    rest = rest.slice(all.length)
  }
  return { name, labels, value: Number(value.replace('Inf', 'Infinity')) }
}

/** The same for the same labels, in whichever order. */
function keyOf(labels: Sample['labels']): string {
  const texts = Object.entries(labels).map((entry) => JSON.stringify(entry))
  return texts.toSorted().join()
}

function familyOf(name: string, type: string): string {
  return type === 'histogram' ? name.replace(/_(?:bucket|sum|count)$/, '') : name
}

/** Buckets grow, and the last one has as many as there are. */
function checkHistogram(name: string, samples: readonly Sample[]): void {
  const bySeries = Map.groupBy(samples, ({ labels }) => keyOf({ ...labels, le: '' }))
  for (const [labels, series] of bySeries) {
    const buckets = series.filter((sample) => sample.name === `${name}_bucket`)
    const bounds = buckets.map(({ labels }) => Number(labels['le']?.replace('+Inf', 'Infinity')))
    const counts = buckets.map(({ value }) => value)
    const grows = (values: readonly number[]): boolean => values.every((value, at) => at === 0 || value >= (values[at - 1] ?? 0)) // prettier-ignore
    const total = series.find((sample) => sample.name === `${name}_count`)?.value
    if (!grows(bounds) || !grows(counts) || bounds.at(-1) !== Infinity || counts.at(-1) !== total)
      throw new Error(`no histogram: ${name} ${labels}`)
    if (!series.some((sample) => sample.name === `${name}_sum`)) throw new Error(`no sum: ${name} ${labels}`)
  }
}
