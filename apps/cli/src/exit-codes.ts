/** Every way the command ends. The numbers and the codes are stable; `mcp-gateway --help` prints them. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  config: 3,
  unreachable: 4,
  refused: 5,
} as const

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]

export type CliErrorCode =
  | 'CLI_FAILED'
  | 'CLI_NOT_FOUND'
  | 'CLI_FILE_EXISTS'
  | 'CLI_FILE_CHANGED'
  | 'CLI_PORT_UNAVAILABLE'
  | 'CLI_AUDIT_TAMPERED'
  | 'CLI_AUDIT_UNCHECKED'
  | 'CLI_USAGE'
  | 'CLI_CONFIG_NOT_FOUND'
  | 'CONFIG_INVALID'
  | 'CLI_GATEWAY_UNREACHABLE'
  | 'CLI_CREDENTIALS_REFUSED'

export const exitCodeOf: Readonly<Record<CliErrorCode, ExitCode>> = {
  CLI_FAILED: exitCodes.failed,
  CLI_NOT_FOUND: exitCodes.failed,
  CLI_FILE_EXISTS: exitCodes.failed,
  CLI_FILE_CHANGED: exitCodes.failed,
  CLI_PORT_UNAVAILABLE: exitCodes.failed,
  // What `audit verify` promises to scripts: 0 intact, 1 tampered, 2 could not check.
  CLI_AUDIT_TAMPERED: exitCodes.failed,
  CLI_AUDIT_UNCHECKED: exitCodes.usage,
  CLI_USAGE: exitCodes.usage,
  CLI_CONFIG_NOT_FOUND: exitCodes.config,
  CONFIG_INVALID: exitCodes.config,
  CLI_GATEWAY_UNREACHABLE: exitCodes.unreachable,
  CLI_CREDENTIALS_REFUSED: exitCodes.refused,
}

export const exitCodesHelp = `
Exit codes:
  0  done
  1  failed: a server, a tool or a file did not do what was asked
  2  usage: unknown command, option or argument; for "audit verify", that it could not check
  3  the configuration is missing or not valid
  4  the gateway cannot be reached
  5  the gateway refused the key
  128+n  ended by signal n (serve, which ends that way, exits with 0)`
