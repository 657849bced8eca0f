/** What a command may know of the world. `main.ts` fills it in; commands read no `process` of their own. */
export type Context = {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly home: string
  readonly platform: NodeJS.Platform
  readonly version: string
  /** How this program was started, for clients that shall start it too. */
  readonly self: { readonly command: string; readonly args: readonly string[] }
  /** `--config` */
  readonly config: string | undefined
  /** `--json` */
  readonly json: boolean
  /** Both ends are a terminal: questions may be asked. */
  readonly isInteractive: boolean
  /** stdout: the result. */
  readonly print: (text: string) => void
  /** stderr: everything else. */
  readonly note: (text: string) => void
  readonly readStdin: () => Promise<string>
}

/** The result: for a program when `--json` is given, for a person otherwise. */
export function reply(context: Context, data: unknown, text: string): void {
  context.print(context.json ? JSON.stringify(data, null, 2) : forTerminal(text))
}

/** Tools are named and described by strangers, whose escape sequences must not move the cursor or set the clipboard. */
function forTerminal(text: string): string {
  return text.replaceAll(/[^\P{Cc}\n\t]/gu, '\u{FFFD}')
}

/** Columns for people. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length)
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
