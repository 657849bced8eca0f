/**
 * What is remembered of a server and a tool. Two maps, because one key made of both names would be written and hashed for
 * each call, and that costs more than the look-ups. The adversary makes up names of tools: it is emptied when it is full.
 */
export type PairCache<T> = {
  readonly get: (server: string, tool: string) => T | undefined
  readonly set: (server: string, tool: string, value: T) => void
}

/** Longer names are not kept. */
const MAX_NAME_CHARS = 512

export function createPairCache<T>(maxPairs: number): PairCache<T> {
  const servers = new Map<string, Map<string, T>>()
  let size = 0
  return {
    get: (server, tool) => servers.get(server)?.get(tool),
    set(server, tool, value) {
      if (server.length > MAX_NAME_CHARS || tool.length > MAX_NAME_CHARS) return
      if (size >= maxPairs) {
        servers.clear()
        size = 0
      }
      let tools = servers.get(server)
      if (tools === undefined) {
        tools = new Map()
        servers.set(server, tools)
      }
      if (!tools.has(tool)) size += 1
      tools.set(tool, value)
    },
  }
}
