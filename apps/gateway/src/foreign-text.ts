/**
 * What callers and servers wrote and somebody else will read, in a log or a fact that cannot be erased: without what looks
 * like a secret or a person.
 */
import { createRedactor, type Detector } from '@mcp-gateway/policy'

/** Not addresses and phone numbers: an operator has to see which server refused on which port. */
const DETECTORS: readonly Detector[] = ['secret', 'email', 'ssn', 'credit_card', 'iban']
const rule = { id: 'log', server: ['*'], tool: ['*'], on: ['logs'], detectors: DETECTORS, fields: [], patterns: [], applies: 'always' } as const // prettier-ignore
const redactor = createRedactor([rule]).forCall('', '').logs

export function withoutSecrets(text: string): string {
  return redactor.text(text).value
}

/** Names that are remembered: a gateway calls the same few thousand tools again and again. */
const MAX_NAMES = 10_000
const names = new Map<string, string>()

/** A tool's, prompt's or resource's name, which a caller may make up. `server__tool` is looked at in its parts. */
export function nameWithoutSecrets(name: string): string {
  let clean = names.get(name)
  if (clean !== undefined) return clean
  clean = name.split('__').map(withoutSecrets).join('__')
  if (names.size >= MAX_NAMES) names.clear()
  names.set(name, clean)
  return clean
}
