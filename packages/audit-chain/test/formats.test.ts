import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { FollowedEntry, SecurityEvent } from '@mcp-gateway/audit-chain'
import { createCefFormat } from '@mcp-gateway/audit-chain/formats/cef'
import { createCsvFormat, csvCell } from '@mcp-gateway/audit-chain/formats/csv'
import { formatJsonl } from '@mcp-gateway/audit-chain/formats/jsonl'
import { createOcsfFormat } from '@mcp-gateway/audit-chain/formats/ocsf'
import { leafHash, verifyDisclosure } from '@mcp-gateway/audit-chain/verify'
import { entriesOf, logOf, ORIGIN, PRODUCT } from './support/exports.ts'

const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({
    unit: fc.constantFrom('"', ',', '\r', '\n', "'", '=', '+', '-', '@', '|', '\\', ' ', '\t', 'n', 'r', 'a'),
  }),
)

/** RFC 4180, written from its grammar and not from our code. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [[]]
  let at = 0
  while (at < text.length) {
    let cell = ''
    if (text[at] === '"') {
      for (at += 1; ; at += 1) {
        if (text[at] !== '"') cell += text[at]
        else if (text[at + 1] === '"') cell += text[(at += 1)]
        else break
      }
      at += 1
    } else {
      while (at < text.length && text[at] !== ',' && text[at] !== '\r') cell += text[at++]
    }
    rows.at(-1)?.push(cell)
    if (text[at] === ',') {
      at += 1
      if (at === text.length) rows.at(-1)?.push('')
    } else if (text.startsWith('\r\n', at)) {
      at += 2
      if (at < text.length) rows.push([])
    }
  }
  return rows
}

test('law: parse(format(cells)) = cells, less the apostrophe that disarms', () => {
  fc.assert(
    fc.property(fc.array(fc.array(anyText, { minLength: 2, maxLength: 5 }), { minLength: 1, maxLength: 4 }), (rows) => {
      const text = rows.map((cells) => `${cells.map(csvCell).join(',')}\r\n`).join('')
      const read = parseCsv(text).map((cells) => cells.map((cell) => cell.replace(/^'/, '')))
      expect(read).toEqual(rows)
    }),
    { numRuns: 5000 },
  )
})

test('law: no cell that is read from CSV begins as a formula', () => {
  const start = fc.constantFrom('=', '+', '-', '@', '\t=', '\r', ' =', '\u200b=', '\uff1d', '\u0000=')
  fc.assert(
    fc.property(start, anyText, (sign, rest) => {
      const [[cell]] = parseCsv(`${csvCell(sign + rest)},`) as [[string]]
      expect(cell[0]).toBe("'")
    }),
  )
  // Numbers are ours and not text: a spreadsheet shall sum them.
  expect(csvCell(-32_603)).toBe('-32603')
})

/** Of the grammar in the CEF guide: `\|` and `\\` in the header, `\=`, `\\`, `\n` and `\r` in the extension. */
function parseCef(text: string): { header: string[]; extension: Map<string, string> } {
  const unescape = (part: string): string =>
    part.replaceAll(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char === 'r' ? '\r' : char))
  const parts = [...text.matchAll(/((?:\\.|[^\\|])*)\|/gs)].slice(0, 7)
  const rest = text.slice(parts.reduce((length, [whole]) => length + whole.length, 0))
  const pairs = rest.split(/ (?=[A-Za-z0-9]+=)/)
  return {
    header: parts.map(([, part = '']) => unescape(part)),
    extension: new Map(
      pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), unescape(pair.slice(pair.indexOf('=') + 1))]),
    ),
  }
}

test('law: unescape(escape(text)) = text in a CEF header and extension, on one line, with no field made up', async () => {
  const [entry] = (await entriesOf(await logOf(1))) as [FollowedEntry]
  fc.assert(
    fc.property(anyText, anyText, (operation, actor) => {
      const describe = (): SecurityEvent => ({ operation, actor, outcome: 'failure', severity: 'high', code: actor })
      const text = createCefFormat({ product: PRODUCT, describe })(entry)
      expect(text).not.toMatch(/[\r\n]/)
      const { header, extension } = parseCef(text)
      expect(header).toEqual(['CEF:0', 'MCP Gateway', 'mcp-gateway', '1.2.3', 'tool.call', operation, '8'])
      expect([...extension.keys()].sort()).toEqual(
        'act cn1 cn1Label cs1 cs1Label cs2 cs2Label cs3 cs3Label externalId outcome reason rt suser'.split(' '),
      )
      expect(extension.get('suser')).toBe(actor)
      expect(extension.get('act')).toBe(operation)
    }),
    { numRuns: 5000 },
  )
})

test('each format says log, seq and id, and which entry proves it', async () => {
  const [, entry] = (await entriesOf(await logOf(2))) as [FollowedEntry, FollowedEntry]
  const hash = leafHash(entry.leaf).toString('hex')
  const describe = (): SecurityEvent => ({ operation: 'tools/call x', service: 'everything', actor: 'agent-1', outcome: 'failure', severity: 'low', code: 'E', durationMs: 7 }) // prettier-ignore

  const cef = parseCef(createCefFormat({ product: PRODUCT, describe })(entry)).extension
  expect(Object.fromEntries(cef)).toMatchObject({
    cs1: ORIGIN,
    cn1: '1',
    externalId: entry.entry.id,
    cs2: hash,
    cn2: '7',
  })
  expect(cef.get('cs3')).toBe('{"q":"=1+1\\n"}')

  const { header, record } = createCsvFormat({ facts: ['name', 'none'], fields: ['arguments'] })
  const [names, cells] = parseCsv(`${header}\r\n${record(entry)}\r\n`)
  expect(names).toEqual('log seq id type ts name none arguments entry_hash'.split(' '))
  expect(cells).toEqual([ORIGIN, '1', entry.entry.id, 'tool.call', entry.entry.ts, 'search|=\n"1"', '', '{"q":"=1+1\\n"}', hash]) // prettier-ignore

  const ocsf = JSON.parse(createOcsfFormat({ product: PRODUCT, describe })(entry)) as Record<string, unknown>
  expect(ocsf).toMatchObject({
    class_uid: 6003,
    category_uid: 6,
    activity_id: 99,
    type_uid: 600_399,
    time: Date.parse(entry.entry.ts),
    severity_id: 2,
    status_id: 2,
    metadata: {
      version: '1.6.0',
      uid: entry.entry.id,
      sequence: 1,
      log_name: ORIGIN,
      product: { name: 'mcp-gateway' },
    },
    actor: { user: { uid: 'agent-1' } },
    src_endpoint: { name: 'agent-1' },
    api: { operation: 'tools/call x', service: { name: 'everything' }, response: { error: 'E' } },
    unmapped: { entry_hash: hash, fields: { arguments: '{"q":"=1+1\\n"}' } },
  })
})

test('a JSON line can be verified again: the bytes of the entry, and the keys that open its fields', async () => {
  for (const entry of await entriesOf(await logOf(3))) {
    const line = formatJsonl(entry)
    expect(line).not.toContain('\n')
    const [, leafText = ''] = /^\{"entry":(.*),"fields":/.exec(line) ?? []
    expect(leafHash(Buffer.from(leafText))).toEqual(leafHash(entry.leaf))
    const { fields } = JSON.parse(line) as { fields: Record<string, { key: string; text: string }> }
    expect(Object.keys(fields)).toEqual(['arguments', 'subject'])
    for (const [name, { key, text }] of Object.entries(fields)) {
      const disclosure = { name, key: Buffer.from(key, 'base64'), value: Buffer.from(text) }
      expect(verifyDisclosure(Buffer.from(leafText), disclosure)).toEqual([])
    }
  }
})
