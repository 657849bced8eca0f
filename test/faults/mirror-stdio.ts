// The mirror in a pipe: `node mirror-stdio.ts modern|legacy`.

import { createMirror, type Era } from './mirror.ts'

const answer = createMirror(process.argv[2] as Era)

async function onLine(line: string): Promise<void> {
  for await (const text of answer(line)) process.stdout.write(`${text}\n`)
}

// readline would take U+2028 for the end of a line; a message in a pipe ends at a newline and nowhere else.
let rest = ''
process.stdin.setEncoding('utf8').on('data', (chunk: string) => {
  const lines = (rest + chunk).split('\n')
  rest = lines.pop() ?? ''
  for (const line of lines) void onLine(line)
})
process.stdin.on('end', () => process.exit(0))
