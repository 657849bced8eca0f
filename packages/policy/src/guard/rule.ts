/** Reading `toolGuard: { definitions: block, results: flag, rules: { invisible: block }, trusted: [internal-*] }`. */
import { entries, members, oneOf, type Field } from '../document/reader.ts'
import { readGlobs } from '../rule.ts'
import { POISONING_RULES, type PoisoningRuleId } from './poisoning.ts'
import type { GuardAction, ToolGuardRules } from './tool-guard.ts'

const ACTIONS: readonly GuardAction[] = ['allow', 'flag', 'block']
const IDS: readonly PoisoningRuleId[] = [...POISONING_RULES.map(({ id }) => id), 'oversized']

export function readToolGuard(field: Field): ToolGuardRules | undefined {
  const found = members(field, ['definitions', 'results', 'rules', 'trusted'])
  if (found === undefined) return undefined
  const definitions = found.definitions && oneOf(found.definitions, ACTIONS)
  const results = found.results && oneOf(found.results, ACTIONS)
  const trusted = found.trusted && readGlobs(found.trusted)
  const rules = found.rules && readRules(found.rules)
  if ((found.definitions && !definitions) || (found.results && !results)) return undefined
  if ((found.trusted && !trusted) || (found.rules && !rules)) return undefined
  return {
    ...(definitions && { definitions }),
    ...(results && { results }),
    ...(trusted && { trusted }),
    ...(rules && { rules }),
  }
}

function readRules(field: Field): ToolGuardRules['rules'] | undefined {
  const read = entries(field, IDS.length)?.map(([key, one]) => {
    const id = oneOf({ ...one, value: key }, IDS)
    const action = oneOf(one, ACTIONS)
    return id !== undefined && action !== undefined ? ([id, action] as const) : undefined
  })
  if (!read?.every((one) => one !== undefined)) return undefined
  return Object.fromEntries(read)
}
