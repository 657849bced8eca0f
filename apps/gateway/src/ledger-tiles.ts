/**
 * The Merkle trees over HTTP as C2SP tlog-tiles has them: a caller's own log at /api/audit/log/, the meta-log at
 * /api/audit/meta/. An auditor rebuilds roots and proofs from these, and believes no answer of ours.
 *
 * Of the meta-log there are hashes only: its entries name the logs of all tenants with their sizes.
 */
import { z, type OpenAPIHono } from '@hono/zod-openapi'
import { createTileServer, parseTilePath, type TileReply } from '@mcp-gateway/audit-chain'
import { GatewayError } from './errors.ts'
import type { GatewayLedger } from './ledger-open.ts'
import type { LedgerReports } from './ledger-reports.ts'
import type { RestEnv } from './routes.ts'

export type Tree = 'log' | 'meta'

/**
 * Whatever is behind a path, and who asks, is told apart by credentials: no cache may give it to somebody else. A signed
 * checkpoint is the newest for a moment; what is in a tile stays.
 */
const VARY = 'Authorization, X-API-Key, Signature-Input'

/** `undefined` is a 404. @throws AuditError from the store */
export async function readTree(
  { ledger, meta }: GatewayLedger,
  tree: Tree,
  path: string,
): Promise<TileReply | undefined> {
  if (tree === 'log') return await createTileServer(ledger)(path)
  if (parseTilePath(path)?.kind === 'entries') return undefined
  return await createTileServer(await meta.read())(path)
}

export function addTileRoutes(app: OpenAPIHono<RestEnv>, reports: LedgerReports): void {
  for (const tree of ['log', 'meta'] as const) {
    const prefix = `/api/audit/${tree}/`
    // A tile's index has as many path elements as it takes, which no OpenAPI parameter has.
    app.get(`${prefix}*`, async (c) => {
      const reply = await reports.tree(c.get('caller'), tree, c.req.path.slice(prefix.length))
      if (reply === undefined) throw new GatewayError('GATEWAY_NOT_FOUND', 'there is no such tile, or not yet')
      const { body, contentType, cacheControl } = reply
      const headers = { 'content-type': contentType, 'cache-control': cacheControl.replace('public', 'private'), vary: VARY } // prettier-ignore
      return c.body(Uint8Array.from(body), 200, headers)
    })
    describe(app, tree, prefix)
  }
}

const security = [{ apiKey: [] }, { bearer: [] }]
const index = z.string().openapi({ description: 'As in tlog-tiles: 067, x001/x234/067; a partial one ends with .p/17' })
const level = z.string().openapi({ description: '0 to 63' })

function describe(app: OpenAPIHono<RestEnv>, tree: Tree, prefix: string): void {
  const name = tree === 'log' ? 'your log' : 'the meta-log'
  const add = (path: string, summary: string, type: string, params?: z.ZodObject): void => {
    const responses = {
      200: { description: summary, content: { [type]: { schema: { type: 'string' as const } } } },
      401: { description: 'The credentials are missing or not good' },
      403: { description: 'The caller has not the role auditor' },
      404: { description: 'The log is switched off, or no signed checkpoint reaches so far' },
      503: { description: 'The log cannot be read' },
    }
    const request = params === undefined ? {} : { request: { params } }
    app.openAPIRegistry.registerPath({ method: 'get', path: `${prefix}${path}`, summary, security, ...request, responses }) // prettier-ignore
  }
  const bytes = 'application/octet-stream'
  add('checkpoint', `The newest signed checkpoint of ${name} (C2SP tlog-tiles)`, 'text/plain')
  add('tile/{level}/{index}', `Hashes of ${name}, up to 256`, bytes, z.object({ level, index }))
  if (tree === 'log') add('tile/entries/{index}', `Entries of ${name}, up to 256`, bytes, z.object({ index }))
}
