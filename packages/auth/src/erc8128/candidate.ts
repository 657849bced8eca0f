/** Which signatures of a request claim to be ERC-8128's, within limits that are looked at before anything costs (§3.5). */
import type { RequestHeaders } from '../request.ts'
import { SignatureError } from './failure.ts'
import { fieldOf } from './signature-base.ts'
import { parseDictionary, type Dictionary, type InnerList, type Item } from './structured-fields.ts'

/** Two texts have been published that do not understand each other. */
export type Erc8128Text = 'january-2026' | 'august-2026'

export type Candidate = {
  readonly text: Erc8128Text
  readonly input: InnerList
  /** Undefined when `Signature` has no byte sequence under the label. */
  readonly signature: Uint8Array | undefined
}

const MAX_FIELD_CHARS = 16 * 1024
const MAX_SIGNATURE_BYTES = 8 * 1024
const MAX_CANDIDATES = 8
const MAX_COMPONENTS = 32
const MAX_PARAMETERS = 16

/**
 * Undefined when the request has nothing to do with ERC-8128. A member that has the label, the tag or the keyid of either
 * text makes the request one of ours, even if it then is no candidate: what failed as a signature must not be let in as a bearer.
 * A field that nobody can read might hold one, and is therefore refused too.
 * @throws SignatureError signature_missing, signature_input_invalid, signature_too_large
 */
export function readCandidates(
  headers: RequestHeaders,
  texts: ReadonlySet<Erc8128Text>,
): readonly Candidate[] | undefined {
  const inputField = fieldOf(headers, 'signature-input')
  const signatureField = fieldOf(headers, 'signature')
  if (inputField === undefined && signatureField === undefined) return undefined
  if (inputField === undefined) throw new SignatureError('signature_missing')
  const inputs = parseField(inputField)
  const members = [...inputs].map(([label, member]) => ({ label, member }))
  // A Signature that nothing describes: what described it may have been taken away, to have the bearer token decide.
  if (members.length === 0 && signatureField !== undefined) throw new SignatureError('signature_missing')
  if (!members.some(({ label, member }) => isOurs(label, member))) return undefined

  if (signatureField === undefined) throw new SignatureError('signature_missing')
  const signatures = parseField(signatureField)
  const candidates = members.flatMap(({ label, member }) => {
    const text = textOf(label, member)
    if (text === undefined || !texts.has(text)) return []
    // A member that covers nothing is a candidate that cannot win, and does not keep a later one from winning.
    if (!('items' in member))
      return [{ text, input: { items: [], parameters: member.parameters }, signature: undefined }]
    return [{ text, input: member, signature: bytesOf(signatures.get(label)) }]
  })
  if (candidates.length > MAX_CANDIDATES || candidates.some(isTooLarge)) throw new SignatureError('signature_too_large')
  return candidates
}

function parseField(field: string): Dictionary {
  if (field.length > MAX_FIELD_CHARS) throw new SignatureError('signature_too_large')
  try {
    return parseDictionary(field)
  } catch (error) {
    // TypeError: a display string that is not UTF-8.
    if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error
    throw new SignatureError('signature_input_invalid', { cause: error })
  }
}

function isOurs(label: string, member: Item | InnerList): boolean {
  const keyid = textParameter(member, 'keyid') ?? ''
  const tag = textParameter(member, 'tag') ?? ''
  return label === 'eth' || /^erc8128/i.test(tag) || /^(?:erc8128|eip155):/i.test(keyid)
}

/** August: the tag alone (§2). January knows neither tag nor alg; `eth` is the label it recommends. */
function textOf(label: string, member: Item | InnerList): Erc8128Text | undefined {
  const tag = member.parameters.get('tag')
  if (tag?.kind === 'string' && tag.value === 'erc8128') return 'august-2026'
  if (tag !== undefined) return undefined
  const keyid = textParameter(member, 'keyid')
  return keyid?.startsWith('erc8128:') === true || (label === 'eth' && !/^eip155:/i.test(keyid ?? ''))
    ? 'january-2026'
    : undefined
}

function textParameter(member: Item | InnerList, name: string): string | undefined {
  const value = member.parameters.get(name)
  return value?.kind === 'string' || value?.kind === 'token' ? value.value : undefined
}

function bytesOf(member: Item | InnerList | undefined): Uint8Array | undefined {
  return member !== undefined && 'value' in member && member.value.kind === 'bytes' ? member.value.value : undefined
}

function isTooLarge({ input, signature }: Candidate): boolean {
  return (
    input.items.length > MAX_COMPONENTS ||
    input.parameters.size > MAX_PARAMETERS ||
    (signature?.length ?? 0) > MAX_SIGNATURE_BYTES
  )
}
