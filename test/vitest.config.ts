import { defineConfig } from 'vitest/config'

// Every test here starts real programs; one file at a time keeps their start-up times honest on a small machine.
export default defineConfig({
  test: { name: 'test', fileParallelism: false, testTimeout: 60_000, hookTimeout: 60_000 },
})
