import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { checkGraph } from '../check-graph.ts'

const roots: string[] = []

afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true })
})

function manifest(name: string, more: object = {}): string {
  const exports = { '.': './src/index.ts', './stores/*': './src/stores/*.ts' }
  return JSON.stringify({ name: `@mcp-gateway/${name}`, exports, ...more })
}

/** A workspace of two packages and an app, with the files given on top. */
function workspace(files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), 'check-graph-'))
  roots.push(root)
  const all = {
    'packages/wire/package.json': manifest('wire'),
    'packages/auth/package.json': manifest('auth'),
    'apps/gateway/package.json': manifest('gateway', { dependencies: { '@mcp-gateway/wire': 'workspace:*' } }),
    ...files,
  }
  for (const [file, text] of Object.entries(all)) {
    mkdirSync(join(root, dirname(file)), { recursive: true })
    writeFileSync(join(root, file), text)
  }
  return root
}

describe('checkGraph', () => {
  it('lets an app import a package through its exports', () => {
    const root = workspace({
      'apps/gateway/src/main.ts': `import { a } from '@mcp-gateway/wire'\nimport '@mcp-gateway/auth/stores/memory'\nimport './a.ts'\n`,
      'packages/wire/test/a.test.ts': `import { a } from '@mcp-gateway/wire'\nimport '../src/a.ts'\n`,
      'examples/01/run.ts': `import { a } from '@mcp-gateway/wire'\n`,
    })
    expect(checkGraph(root)).toEqual([])
  })

  it.each(['dependencies', 'devDependencies', 'peerDependencies', 'optionalDependencies'])(
    'refuses a package that names another in %s',
    (field) => {
      const text = `{\n  "name": "@mcp-gateway/auth",\n  "${field}": {\n    "@mcp-gateway/wire": "workspace:*"\n  }\n}`
      expect(checkGraph(workspace({ 'packages/auth/package.json': text }))).toEqual([
        'packages/auth/package.json:4: a package may not depend on @mcp-gateway/wire',
      ])
    },
  )

  it.each([
    ['src/a.ts', `import { x } from '@mcp-gateway/wire'`],
    ['test/a.test.ts', `import type { X } from "@mcp-gateway/wire"`],
    ['src/b.ts', `export { x } from '@mcp-gateway/wire'`],
    ['src/c.ts', `const x = await import('@mcp-gateway/wire')`],
    ['src/d.ts', `import {\n  x,\n} from '@mcp-gateway/wire'`],
  ])('refuses a package whose %s imports another', (file, text) => {
    const line = text.split('\n').length
    expect(checkGraph(workspace({ [`packages/auth/${file}`]: text }))).toEqual([
      `packages/auth/${file}:${line}: a package may not import @mcp-gateway/wire`,
    ])
  })

  it('refuses deep imports and paths into a member', () => {
    const root = workspace({
      'apps/gateway/src/a.ts': `\nimport '@mcp-gateway/wire/src/secret'\nimport '../../../packages/wire/src/index.ts'\n`,
      'packages/auth/src/a.ts': `import '../../../tooling/x.ts'\n`,
      'test/b.ts': `import '../packages/wire/src/index.ts'\n`,
    })
    expect(checkGraph(root)).toEqual([
      'apps/gateway/src/a.ts:2: @mcp-gateway/wire does not export ./src/secret',
      'apps/gateway/src/a.ts:3: import @mcp-gateway/wire by its name, not by the path packages/wire/src/index.ts',
      'packages/auth/src/a.ts:1: tooling/x.ts is outside packages/auth, which is published without it',
      'test/b.ts:1: import @mcp-gateway/wire by its name, not by the path packages/wire/src/index.ts',
    ])
  })

  it('reads no imports in comments, nor in what was installed or built', () => {
    const bad = `import '@mcp-gateway/wire'`
    const root = workspace({
      'packages/auth/src/a.ts': `// ${bad}\n/**\n * ${bad}\n */\n`,
      'packages/auth/node_modules/x/a.ts': bad,
      'packages/auth/dist/a.ts': bad,
    })
    expect(checkGraph(root)).toEqual([])
  })
})
