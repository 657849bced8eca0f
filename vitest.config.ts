import { globSync } from 'node:fs'
import { defineConfig } from 'vitest/config'

const conditions = ['@mcp-gateway/source']
const members = globSync('{packages,apps}/*', { cwd: import.meta.dirname }).sort()
const roots = [...members, 'bench', 'test', 'tooling']
const faults = 'test/faults'

export default defineConfig({
  test: {
    // Inline projects: a project found by a glob would not inherit the conditions, and import dist instead of src.
    projects: [
      ...roots.map((root) =>
        project(root, ['**/node_modules/**', '**/dist/**', `${import.meta.dirname}/${faults}/**`]),
      ),
      // Last and one file at a time: its tests compare latencies and memory, and would measure the others' work.
      project(faults, [], { maxWorkers: 1, sequence: { groupOrder: 1 } }),
    ],
  },
})

function project(root: string, exclude: string[], more: object = {}) {
  return {
    resolve: { conditions },
    ssr: { resolve: { conditions } },
    test: {
      name: root,
      root,
      include: ['**/*.test.ts'],
      exclude,
      testTimeout: 60_000,
      hookTimeout: 60_000,
      ...more,
    },
  }
}
