/**
 * Three-valued logic (Kleene). A condition about an argument that is missing, or of another type than it is compared
 * with, is neither true nor false but unknown, also under `not`. An allow rule matches only what is true, a deny rule
 * everything that is not false: whoever leaves out an argument, or sends `["5000"]` for `5000`, gains nothing.
 *
 * As bits, because `tools/list` asks the same rules before there are arguments, and then an outcome is a set.
 */
export type Outcome = number

export const FALSE = 1
export const TRUE = 2
export const UNKNOWN = 4
/** Depends on arguments that nobody has sent yet. */
export const OPEN: Outcome = FALSE | TRUE | UNKNOWN

export function not(outcomes: Outcome): Outcome {
  return (outcomes & UNKNOWN) | (outcomes & FALSE ? TRUE : 0) | (outcomes & TRUE ? FALSE : 0)
}

/** Every outcome that `a and b` can have when each has one of its own. */
export function and(a: Outcome, b: Outcome): Outcome {
  const isFalse = (a | b) & FALSE
  const isTrue = a & b & TRUE
  const isUnknown = (a & UNKNOWN && b & (TRUE | UNKNOWN)) || (b & UNKNOWN && a & (TRUE | UNKNOWN)) ? UNKNOWN : 0
  return isFalse | isTrue | isUnknown
}

export function or(a: Outcome, b: Outcome): Outcome {
  return not(and(not(a), not(b)))
}

/** For messages: `true`, `false`, `unknown`, or `open` when arguments decide. */
export function nameOf(outcomes: Outcome): 'true' | 'false' | 'unknown' | 'open' {
  if (outcomes === TRUE) return 'true'
  if (outcomes === FALSE) return 'false'
  return outcomes === UNKNOWN ? 'unknown' : 'open'
}
