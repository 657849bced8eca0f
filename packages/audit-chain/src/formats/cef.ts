/**
 * ArcSight Common Event Format, revision 26: `CEF:0|vendor|product|version|class|name|severity|key=value …`. The adversary
 * writes names with `|`, `=` and line breaks in them, to add fields or events of their own.
 */
import type { FollowedEntry } from '../follower.ts'
import { leafHash } from '../hash.ts'
import type { RecordFormat } from '../sink.ts'
import { fieldText, type EventFormatOptions, type Severity } from './event.ts'

const SEVERITY: Readonly<Record<Severity, number>> = { info: 1, low: 3, medium: 6, high: 8 }
/** Custom strings are cs1 to cs6, and two are taken. */
const MAX_CUSTOM_FIELDS = 4

/** `externalId` is the entry's id, `cn1` its seq, `cs1` its log, `cs2` its hash; up to four fields follow in `cs3` to `cs6`. */
export function createCefFormat({ product, describe }: EventFormatOptions): RecordFormat {
  return (followed) => {
    const { entry, leaf } = followed
    const { operation, service, actor, outcome, severity, code, durationMs } = describe(followed)
    const header = [product.vendor, product.name, product.version, entry.type, operation].map(escapeHeader).join('|')
    const pairs: readonly (readonly [string, string | number | undefined])[] = [
      ['rt', Date.parse(entry.ts)],
      ['externalId', entry.id],
      ['cn1', entry.seq],
      ['cn1Label', 'seq'],
      ['cs1', entry.log],
      ['cs1Label', 'log'],
      ['cs2', leafHash(leaf).toString('hex')],
      ['cs2Label', 'entryHash'],
      ['act', operation],
      ['outcome', outcome],
      ['suser', actor],
      ['destinationServiceName', service],
      ['reason', code],
      ['cn2', durationMs],
      ['cn2Label', durationMs === undefined ? undefined : 'durationMs'],
      ...customStrings(followed),
    ]
    const extension = pairs.flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${escapeValue(value)}`]))
    return `CEF:0|${header}|${SEVERITY[severity]}|${extension.join(' ')}`
  }
}

function customStrings(followed: FollowedEntry): [string, string | undefined][] {
  const names = followed.fields.map(({ name }) => name).filter((name) => name !== 'subject')
  return names.slice(0, MAX_CUSTOM_FIELDS).flatMap((name, index): [string, string | undefined][] => [
    [`cs${index + 3}`, fieldText(followed, name)],
    [`cs${index + 3}Label`, name],
  ])
}

function escapeHeader(text: string): string {
  return text
    .replaceAll(/[\\|]/g, String.raw`\$&`)
    .replaceAll('\n', String.raw`\n`)
    .replaceAll('\r', String.raw`\r`)
}

function escapeValue(value: string | number): string {
  const text = String(value).replaceAll(/[\\=]/g, String.raw`\$&`)
  return text.replaceAll('\n', String.raw`\n`).replaceAll('\r', String.raw`\r`)
}
