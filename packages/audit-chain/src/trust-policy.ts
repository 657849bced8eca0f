/**
 * Whom a reader believes (C2SP tlog-policy): the keys of logs, the keys of witnesses, and which witnesses together are
 * enough. It has to come from elsewhere than what it is used on.
 */
import { AuditError } from './errors.ts'
import { parseVerifierKey, type VerifierKey } from './verifier-key.ts'

/** Lines beyond this are refused; tlog-policy asks for 32 logs, 32 witnesses and 32 groups at least. */
const MAX_POLICY_LINES = 1024

export type TrustPolicy = {
  readonly logs: readonly VerifierKey[]
  /** By their names in the policy. */
  readonly witnesses: ReadonlyMap<string, VerifierKey>
  /** Whether these witnesses, by the text of their keys, are enough. */
  readonly isQuorum: (cosigners: ReadonlySet<string>) => boolean
}

type Rule = (cosigners: ReadonlySet<string>) => boolean

/** A policy of log keys alone. */
export function trustLogs(...keys: readonly string[]): TrustPolicy {
  return {
    logs: keys.map((key) => expectRole(parseVerifierKey(key), 'log')),
    witnesses: new Map(),
    isQuorum: () => true,
  }
}

/** @throws AuditError AUDIT_POLICY_MALFORMED with the line, AUDIT_KEY_MALFORMED */
export function parsePolicy(text: string): TrustPolicy {
  const lines = text.split('\n')
  if (lines.length > MAX_POLICY_LINES) throw malformed(lines.length, `more than ${MAX_POLICY_LINES} lines`)
  const draft = createDraft()
  for (const [index, line] of lines.entries()) {
    // oxlint-disable-next-line no-control-regex -- tlog-policy, Character set
    if (/[\u0000-\u0008\u000b-\u001f\u007f]/.test(line)) throw malformed(index + 1, 'control characters')
    const words = line.split(/[ \t]+/).filter((word) => word !== '')
    const [keyword, ...rest] = words
    if (keyword === undefined || keyword.startsWith('#')) continue
    const problem = draft.read(keyword, rest)
    if (problem !== undefined) throw malformed(index + 1, problem)
  }
  return draft.finish(lines.length)
}

/** Each line returns what is wrong with it. */
function createDraft(): {
  read(keyword: string, words: readonly string[]): string | undefined
  finish(line: number): TrustPolicy
} {
  const logs: VerifierKey[] = []
  const witnesses = new Map<string, VerifierKey>()
  const rules = new Map<string, Rule>()
  const members = new Set<string>()
  let quorum: Rule | undefined

  const isTaken = (name: string): boolean => name === 'none' || rules.has(name)
  const isTwin = (key: VerifierKey, others: Iterable<VerifierKey>): boolean =>
    [...others].some((other) => other.publicKey.equals(key.publicKey))

  const lines: Readonly<Record<string, (words: readonly string[]) => string | undefined>> = {
    log([vkey, , ...more]) {
      if (vkey === undefined || more.length > 0) return 'a log is "log <vkey> [<url>]"'
      const key = expectRole(parseVerifierKey(vkey), 'log')
      if (isTwin(key, logs)) return `the key of ${key.name} is there twice`
      logs.push(key)
      return undefined
    },
    witness([name, vkey, , ...more]) {
      if (name === undefined || vkey === undefined || more.length > 0)
        return 'a witness is "witness <name> <vkey> [<url>]"'
      if (isTaken(name)) return `the name ${name} is taken`
      const key = expectRole(parseVerifierKey(vkey), 'witness')
      if (isTwin(key, witnesses.values())) return `the key of ${key.name} is there twice`
      witnesses.set(name, key)
      rules.set(name, (cosigners) => cosigners.has(key.text))
      return undefined
    },
    group([name, threshold, ...names]) {
      if (name === undefined || threshold === undefined || names.length === 0) {
        return 'a group is "group <name> <all|any|k> <name>…"'
      }
      if (isTaken(name)) return `the name ${name} is taken`
      const unknown = names.find((member) => !rules.has(member))
      if (unknown !== undefined) return `${unknown} is not defined above`
      const twice = names.find((member, i) => members.has(member) || names.indexOf(member) !== i)
      if (twice !== undefined) return `${twice} is a member already`
      const needed = threshold === 'all' ? names.length : threshold === 'any' ? 1 : countOf(threshold)
      if (needed < 1 || needed > names.length) return `${threshold} of ${names.length} members is no threshold`
      for (const member of names) members.add(member)
      const rulesOfMembers = names.map((member) => rules.get(member) as Rule)
      rules.set(name, (cosigners) => rulesOfMembers.filter((rule) => rule(cosigners)).length >= needed)
      return undefined
    },
    quorum([name, ...more]) {
      if (name === undefined || more.length > 0) return 'the quorum is "quorum <name>"'
      if (quorum !== undefined) return 'there is a quorum already'
      quorum = name === 'none' ? () => true : rules.get(name)
      return quorum === undefined ? `${name} is not defined above` : undefined
    },
  }
  return {
    read: (keyword, words) =>
      Object.hasOwn(lines, keyword) ? lines[keyword]?.(words) : `${keyword} is not log, witness, group or quorum`,
    finish(line) {
      if (quorum === undefined) throw malformed(line, 'there is no quorum')
      return { logs, witnesses, isQuorum: quorum }
    },
  }
}

function countOf(word: string): number {
  return /^[1-9][0-9]{0,3}$/.test(word) ? Number(word) : -1
}

function expectRole(key: VerifierKey, role: VerifierKey['role']): VerifierKey {
  if (key.role !== role) throw new AuditError('AUDIT_KEY_MALFORMED', `the key of ${key.name} is not that of a ${role}`)
  return key
}

function malformed(line: number, message: string): AuditError {
  return new AuditError('AUDIT_POLICY_MALFORMED', `policy, line ${line}: ${message}`)
}
