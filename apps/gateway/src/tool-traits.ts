/** What the gateway must know of a server's tools to handle their calls: mirrored headers, and whether a call may be repeated. */
import { isObject, paramHeadersOf, type JsonObject, type JsonRpcRequest, type ParamHeader } from '@mcp-gateway/wire'

export type ToolTraits = {
  /** The arguments that a modern client mirrors into headers. A promise only until the tools were listed once. */
  headers(tool: string): readonly ParamHeader[] | Promise<readonly ParamHeader[]>
  /** False also while the tools are not known. */
  isIdempotent(call: JsonRpcRequest): boolean
  /** The tools have changed. */
  forget(): void
}

type Traits = { readonly headers: readonly ParamHeader[]; readonly idempotent: boolean }
type Known = ReadonlyMap<string, Traits>

export function createToolTraits(listTools: () => Promise<readonly JsonObject[]>): ToolTraits {
  let known: Known | undefined
  let reading: Promise<Known> | undefined

  const read = (): Promise<Known> => {
    const attempt = listTools().then((tools) => {
      const found = new Map(tools.map((tool) => [String(tool['name']), traitsOf(tool)]))
      if (reading === attempt) known = found
      return found
    })
    // Refusing is the safe side: without the list nobody can say that header and argument agree.
    attempt.catch(() => {
      if (reading === attempt) reading = undefined
    })
    return attempt
  }

  return {
    headers(tool) {
      if (known !== undefined) return known.get(tool)?.headers ?? []
      reading ??= read()
      return reading.then((found) => found.get(tool)?.headers ?? [])
    },
    isIdempotent: ({ params }) => known?.get(String(params?.['name']))?.idempotent === true,
    forget() {
      known = reading = undefined
    },
  }
}

function traitsOf(tool: JsonObject): Traits {
  const annotations = isObject(tool['annotations']) ? tool['annotations'] : {}
  return { headers: paramHeadersOf(tool['inputSchema']) ?? [], idempotent: annotations['idempotentHint'] === true }
}
