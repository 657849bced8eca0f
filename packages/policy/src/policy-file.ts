/** A whole file of policy: rules, limits, addresses, redaction and the guard of tool definitions. */
import type { AddressRules } from './addresses/address-policy.ts'
import { readAddresses, readNetworks } from './addresses/address-policy.ts'
import { members, oneOf, type Field } from './document/reader.ts'
import { readValue, readYaml } from './document/yaml.ts'
import { readToolGuard } from './guard/rule.ts'
import type { ToolGuardRules } from './guard/tool-guard.ts'
import { readLimits, type Limit } from './limits/limit.ts'
import type { RedactionRule } from './redaction/redactor.ts'
import { readRedaction } from './redaction/rule.ts'
import { readPolicies, type Policy } from './rule.ts'

export type PolicyFile = {
  readonly mode: 'enforce' | 'dry-run'
  /** Without the section nothing is allowed; nobody is let in by leaving something out. */
  readonly policies: readonly Policy[]
  /** Absent when the file says nothing about it, and then the package's defaults hold. */
  readonly limits?: readonly Limit[]
  readonly addresses?: AddressRules
  readonly trustedProxies?: readonly string[]
  readonly redaction?: readonly RedactionRule[]
  readonly toolGuard?: ToolGuardRules
  /** What is allowed but probably not meant, one sentence each. */
  readonly warnings: readonly string[]
}

const SECTIONS = ['mode', 'policies', 'limits', 'addresses', 'trustedProxies', 'redaction', 'toolGuard'] as const

/**
 * @param file its name, for messages
 * @throws PolicyError POLICY_DOCUMENT_INVALID with a finding for everything that is wrong, each with its line
 */
export function parsePolicyFile(source: string, file = 'policy.yaml'): PolicyFile {
  return readYaml(source, file, readPolicyFile)
}

/** The same from a value that somebody else has parsed, e.g. sections of `gateway.yaml`; findings then have a path and no line. */
export function toPolicyFile(value: unknown, name = 'policy'): PolicyFile {
  return readValue(value, name, readPolicyFile)
}

function readPolicyFile(field: Field): PolicyFile | undefined {
  const found = members(field, SECTIONS)
  if (found === undefined) return undefined
  const mode = found.mode ? oneOf(found.mode, ['enforce', 'dry-run']) : 'enforce'
  const policies = found.policies ? readPolicies(found.policies) : []
  const limits = found.limits && readLimits(found.limits)
  const addresses = found.addresses && readAddresses(found.addresses)
  const trustedProxies = found.trustedProxies && readNetworks(found.trustedProxies)
  const redaction = found.redaction && readRedaction(found.redaction)
  const toolGuard = found.toolGuard && readToolGuard(found.toolGuard)
  if (mode === undefined || policies === undefined) return undefined
  if (found.policies) checkReferences(found.policies, policies, limits, redaction)
  return {
    mode,
    policies,
    ...(limits && { limits }),
    ...(addresses && { addresses }),
    ...(trustedProxies && { trustedProxies }),
    ...(redaction && { redaction }),
    ...(toolGuard && { toolGuard }),
    warnings: policies.flatMap(warningsOf),
  }
}

/** An obligation that names nothing would be an obligation that nobody fulfils. */
function checkReferences(
  field: Field,
  policies: readonly Policy[],
  limits: readonly Limit[] = [],
  redaction: readonly RedactionRule[] = [],
): void {
  for (const [policy, { rules }] of policies.entries()) {
    for (const [rule, { obligations }] of rules.entries()) {
      for (const [index, obligation] of obligations.entries()) {
        const path = [...field.path, policy, 'rules', rule, 'obligations', index]
        if (obligation.type === 'limit' && !limits.some(({ id }) => id === obligation.limit)) {
          field.problems.push({ path, message: `there is no limit with the id "${obligation.limit}"` })
        }
        if (obligation.type === 'redact' && !redaction.some(({ id }) => id === obligation.profile)) {
          field.problems.push({ path, message: `there is no redaction with the id "${obligation.profile}"` })
        }
      }
    }
  }
}

/** In a list where the first match wins, a last `tool: "*", action: deny` is the default. Here it refuses everything. */
function warningsOf({ id, rules }: Policy): string[] {
  const everything = rules.find(
    ({ action, server, tool, conditions, when }) =>
      action === 'deny' && server.includes('*') && tool.includes('*') && conditions === undefined && when === undefined,
  )
  if (everything === undefined || !rules.some(({ action }) => action === 'allow')) return []
  return [
    `policy "${id}": rule "${everything.id}" denies every tool, and deny wins over allow; ` +
      'leave it out, what no rule allows is refused anyway',
  ]
}
