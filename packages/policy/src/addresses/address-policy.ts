/** Which addresses may call at all. */
import { members, texts, report, type Field } from '../document/reader.ts'
import { PolicyError } from '../errors.ts'
import { compileAddresses } from './cidr.ts'

export type AddressRules = {
  /** Without the list everybody may; with one only those in it, and with an empty one nobody. */
  readonly allow?: readonly string[]
  /** Wins over `allow`. */
  readonly deny?: readonly string[]
}

export type AddressDecision = {
  readonly allowed: boolean
  readonly rule: 'addresses/allow' | 'addresses/deny' | 'addresses/default' | 'addresses/unreadable'
  readonly reason: string
}

export type AddressPolicy = {
  /** Never throws: an address that is missing or unreadable is refused as soon as there is a list. */
  readonly decide: (address: string | undefined) => AddressDecision
}

const MAX_ADDRESSES = 20_000

/** @throws SyntaxError for a list that `readAddresses` would have reported */
export function createAddressPolicy({ allow, deny }: AddressRules): AddressPolicy {
  const isAllowed = allow && compileAddresses(allow)
  const isDenied = deny && compileAddresses(deny)
  const hasLists = isAllowed !== undefined || isDenied !== undefined
  return {
    decide(address) {
      if (!hasLists) return { allowed: true, rule: 'addresses/default', reason: 'there are no address lists' }
      const denied = address === undefined ? undefined : isDenied === undefined ? false : isDenied(address)
      const listed = address === undefined ? undefined : isAllowed?.(address)
      if (denied === undefined || (isAllowed !== undefined && listed === undefined)) {
        return { allowed: false, rule: 'addresses/unreadable', reason: 'the client has no readable address' }
      }
      if (denied) return { allowed: false, rule: 'addresses/deny', reason: 'this address is on the deny list' }
      if (listed === false)
        return { allowed: false, rule: 'addresses/allow', reason: 'this address is not on the allow list' }
      return listed === true
        ? { allowed: true, rule: 'addresses/allow', reason: 'this address is on the allow list' }
        : { allowed: true, rule: 'addresses/default', reason: 'this address is not on the deny list' }
    },
  }
}

/** The refusal as an error. */
export function addressRefusal({ rule, reason }: AddressDecision): PolicyError {
  const code = rule === 'addresses/unreadable' ? 'POLICY_ADDRESS_UNREADABLE' : 'POLICY_ADDRESS_DENIED'
  return new PolicyError(code, reason, { rule })
}

export function readAddresses(field: Field): AddressRules | undefined {
  const found = members(field, ['allow', 'deny'])
  if (found === undefined) return undefined
  const allow = found.allow && readNetworks(found.allow)
  const deny = found.deny && readNetworks(found.deny)
  if ((found.allow && !allow) || (found.deny && !deny)) return undefined
  return { ...(allow && { allow }), ...(deny && { deny }) }
}

export function readNetworks(field: Field): readonly string[] | undefined {
  if (!Array.isArray(field.value)) return report(field, 'must be a list of addresses and networks')
  const networks = texts(field, MAX_ADDRESSES, 64)
  try {
    if (networks !== undefined) compileAddresses(networks)
    return networks
  } catch (error) {
    if (error instanceof SyntaxError) return report(field, error.message)
    throw error
  }
}
