import { defineConfig } from 'vitest/config'

const conditions = ['@mcp-gateway/source']

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    projects: ['packages/*', 'apps/*', 'test'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
})
