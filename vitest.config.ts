import { globSync } from 'node:fs'
import { defineConfig } from 'vitest/config'

const conditions = ['@mcp-gateway/source']
const members = globSync('{packages,apps}/*', { cwd: import.meta.dirname }).sort()
const roots = [...members, 'bench', 'test', 'tooling']

export default defineConfig({
  test: {
    // Inline projects: a project found by a glob would not inherit the conditions, and import dist instead of src.
    projects: roots.map((root) => ({
      resolve: { conditions },
      ssr: { resolve: { conditions } },
      test: {
        name: root,
        root,
        include: ['**/*.test.ts'],
        exclude: ['**/node_modules/**', '**/dist/**'],
        testTimeout: 60_000,
        hookTimeout: 60_000,
      },
    })),
  },
})
