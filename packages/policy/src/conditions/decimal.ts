/**
 * Comparing the numbers of JSON, exactly. The wire keeps a number that a double would change in its own spelling
 * (`JSON.rawJSON`): `1000.0`, `12345678901234567890`, `1e400`. A caller chooses the spelling, so a rule about
 * `amount > 1000` has to read them all, and without writing out the zeros of `1e999999999`.
 */

export type Numeric = number | bigint | { readonly rawJSON: string }

export function isNumeric(value: unknown): value is Numeric {
  if (typeof value === 'number') return Number.isFinite(value)
  return typeof value === 'bigint' || isRawNumber(value)
}

function isRawNumber(value: unknown): value is { readonly rawJSON: string } {
  if (typeof value !== 'object' || value === null || !JSON.isRawJSON(value)) return false
  return /^-?\d/.test((value as { readonly rawJSON: string }).rawJSON)
}

/** Less than, equal to or greater than 0, as `a` is to `b`. */
export function compareNumbers(a: Numeric, b: Numeric): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  const [roughA, roughB] = [toNumber(a), toNumber(b)]
  // Rounding keeps the order, so two that differ after it differed before it in the same way.
  if (roughA !== roughB) return roughA < roughB ? -1 : 1
  return compareDecimals(toDecimal(a), toDecimal(b))
}

function toNumber(value: Numeric): number {
  return typeof value === 'object' ? Number(value.rawJSON) : Number(value)
}

/** `sign × 0.digits × 10^exponent`; digits without zeros at either end, none for zero. */
type Decimal = { readonly sign: number; readonly digits: string; readonly exponent: number }

function toDecimal(value: Numeric): Decimal {
  const text = typeof value === 'object' ? value.rawJSON : String(value)
  const [, minus = '', whole = '', fraction = '', power = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? []
  const all = whole + fraction
  const firstDigit = all.search(/[1-9]/)
  if (firstDigit < 0) return { sign: 0, digits: '', exponent: 0 }
  let end = all.length
  while (all[end - 1] === '0') end--
  return {
    sign: minus === '' ? 1 : -1,
    digits: all.slice(firstDigit, end),
    exponent: whole.length - firstDigit + Number(power),
  }
}

function compareDecimals(a: Decimal, b: Decimal): number {
  if (a.sign !== b.sign) return a.sign - b.sign
  if (a.exponent !== b.exponent) return a.exponent < b.exponent ? -a.sign : a.sign
  if (a.digits === b.digits) return 0
  // Both begin with a digit other than 0 at the same place: the order of the texts is the order of the numbers.
  return a.digits < b.digits ? -a.sign : a.sign
}

declare global {
  interface JSON {
    /** V8 since Node 21; the TypeScript library does not declare these yet. */
    isRawJSON(value: unknown): boolean
    rawJSON(text: string): { readonly rawJSON: string }
  }
}
