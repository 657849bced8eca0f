/** Other programs' ways to name a variable, in ours: `${NAME}` and `${NAME:-default}`. */

export type Translation = {
  readonly text: string
  /** Variables that take the place of a question the other program would have asked. */
  readonly asked: readonly { readonly name: string; readonly input: string }[]
  /** Variables it names without a default. */
  readonly named: readonly string[]
  readonly unknown: readonly string[]
}

/**
 * - Claude Code: `${NAME}`, `${NAME:-default}`
 * - Cursor: `${env:NAME}`, `${workspaceFolder}`, `${userHome}`
 * - VS Code: the same, and `${input:id}`
 */
export function translateReferences(
  value: string,
  places: { readonly cwd: string; readonly home: string },
): Translation {
  const asked: { name: string; input: string }[] = []
  const named: string[] = []
  const unknown: string[] = []
  const text = value.replaceAll(/\$\{([^}]*)\}|\$(?=[{$])/g, (whole, inner?: string) => {
    if (inner === undefined) return '$$'
    if (/^[A-Za-z_]\w*(:-.*)?$/s.test(inner)) {
      if (inner === 'workspaceFolder' || inner === 'cwd') return escapeDollars(places.cwd)
      if (inner === 'userHome') return escapeDollars(places.home)
      if (!inner.includes(':')) named.push(inner)
      return whole
    }
    const env = /^env:([A-Za-z_]\w*)$/.exec(inner)
    if (env?.[1] !== undefined) {
      named.push(env[1])
      return `\${${env[1]}}`
    }
    const input = /^input:(.+)$/.exec(inner)?.[1]
    if (input !== undefined) {
      const name = variableName(input)
      asked.push({ name, input })
      return `\${${name}}`
    }
    unknown.push(whole)
    return `$${whole}`
  })
  return { text, asked, named, unknown }
}

/** Text that means itself after interpolation: expand(escapeDollars(t)) = t. */
export function escapeDollars(text: string): string {
  return text.replaceAll(/\$(?=[{$])/g, '$$$$')
}

export function variableName(...words: readonly string[]): string {
  const name = words
    .join('_')
    .toUpperCase()
    .replaceAll(/[^A-Z0-9]+/g, '_')
    .replaceAll(/^_+|_+$/g, '')
  return /^[A-Z]/.test(name) ? name : `V_${name}`
}
