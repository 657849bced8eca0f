/** Names of seed row 4.49 (`ssn`, `credit_card`, `phone`, `email`, `ip`), and two more. */
export const DETECTORS = ['email', 'ssn', 'credit_card', 'phone', 'ip', 'iban', 'secret'] as const
export type Detector = (typeof DETECTORS)[number]

/** A place in a text, from `start` to before `end`. */
export type Span = { readonly start: number; readonly end: number; readonly detector: Detector }

/** What a matcher answers when it has to see more of the text. */
export const NEED_MORE = 'need-more'

/** What a matcher answers: a span, nothing here, or that it has to see more. */
export type Found = Span | undefined | typeof NEED_MORE

/** What a matcher is given. */
export type Source = {
  readonly text: string
  /** Of `text`, see `codesOf`. */
  readonly codes: Uint16Array
  /** Nothing comes after `text`. */
  readonly isFinal: boolean
}
