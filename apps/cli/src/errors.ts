import { exitCodeOf, exitCodes, type CliErrorCode, type ExitCode } from './exit-codes.ts'

/** Something the person at the terminal can mend; `hint` says how. */
export class CliError extends Error {
  override readonly name = 'CliError'
  readonly code: CliErrorCode
  readonly hint: string | undefined
  /** Facts for `--json`. */
  readonly data: Readonly<Record<string, unknown>> | undefined
  constructor(
    code: CliErrorCode,
    message: string,
    options: ErrorOptions & { readonly hint?: string; readonly data?: Readonly<Record<string, unknown>> } = {},
  ) {
    super(message, options)
    this.code = code
    this.hint = options.hint
    this.data = options.data
  }
}

export type Failure = { readonly exitCode: ExitCode; readonly text: string; readonly json: { readonly error: object } }

/** What is shown for an error. One without a code is a bug of ours and shows its stack. */
export function describeError(error: unknown): Failure {
  if (error instanceof CliError) {
    const { code, message, hint, data } = error
    const text = hint === undefined ? message : `${message}\n  ${hint}`
    return { exitCode: exitCodeOf[code], text, json: { error: { code, message, ...(hint && { hint }), ...data } } }
  }
  if (isConfigError(error)) {
    const { message, findings } = error
    return { exitCode: exitCodes.config, text: message, json: { error: { code: error.code, message, findings } } }
  }
  const message = error instanceof Error ? error.message : String(error)
  const system = error instanceof Error && 'syscall' in error
  const text = error instanceof Error && !system ? (error.stack ?? message) : message
  return { exitCode: exitCodes.failed, text, json: { error: { code: 'CLI_FAILED', message } } }
}

/** By its code: `ConfigError` itself would load the whole gateway for `--help`. */
function isConfigError(error: unknown): error is Error & { code: string; findings: readonly object[] } {
  return error instanceof Error && 'code' in error && error.code === 'CONFIG_INVALID' && 'findings' in error
}
