/** `dist/verify.mjs`: everything in one file that Node 18 runs without node_modules. */
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'rolldown'

const path = (file: string): string => fileURLToPath(new URL(file, import.meta.url))
const shim = path('src/node18-crypto.ts')

export default defineConfig({
  input: path('src/main.ts'),
  platform: 'node',
  resolve: { conditionNames: ['@mcp-gateway/source', 'node', 'import'] },
  plugins: [
    {
      name: 'node-18',
      resolveId: (source, importer) => (source === 'node:crypto' && importer !== shim ? shim : undefined),
    },
  ],
  transform: { target: 'node18' },
  output: { file: path('dist/verify.mjs'), format: 'esm', codeSplitting: false },
})
