// Reads HTTP/1.1 answers from a raw socket: just enough of RFC 9112 for servers that answer with a
// content-length or chunked body. Raw sockets instead of fetch because the client must stay cheaper than
// the server it measures; no pipelining, so bytes after an answer mean that something went wrong.

export type HttpResponse = {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
}

type Head = { readonly status: number; readonly headers: ReadonlyMap<string, string>; readonly bodyAt: number }

/** Returns a function that takes what the socket read and gives the answer once it is whole. */
export function createResponseReader(): (chunk: Buffer) => HttpResponse | undefined {
  let received: Buffer = Buffer.alloc(0)
  let head: Head | undefined
  return (chunk) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
    head ??= readHead(received)
    if (head === undefined) return undefined
    const body =
      head.headers.get('transfer-encoding') === 'chunked' ? readChunked(received, head) : readSized(received, head)
    if (body === undefined) return undefined
    if (body.end !== received.length) throw new Error(`${received.length - body.end} bytes follow the answer`)
    const { status, headers } = head
    received = Buffer.alloc(0)
    head = undefined
    return { status, headers, body: body.text }
  }
}

function readHead(bytes: Buffer): Head | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const [statusLine = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n')
  const headers = new Map<string, string>()
  for (const line of lines) {
    const colon = line.indexOf(':')
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim())
  }
  return { status: Number(statusLine.slice(9, 12)), headers, bodyAt: end + 4 }
}

type Body = { readonly text: string; readonly end: number }

function readSized(bytes: Buffer, { headers, bodyAt }: Head): Body | undefined {
  const end = bodyAt + Number(headers.get('content-length') ?? 0)
  return bytes.length < end ? undefined : { text: bytes.toString('utf8', bodyAt, end), end }
}

function readChunked(bytes: Buffer, { bodyAt }: Head): Body | undefined {
  const parts: Buffer[] = []
  for (let at = bodyAt; ;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd < 0) return undefined
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16)
    const from = lineEnd + 2
    const end = from + size + 2
    if (bytes.length < end) return undefined
    if (size === 0) return { text: Buffer.concat(parts).toString('utf8'), end }
    parts.push(bytes.subarray(from, from + size))
    at = end
  }
}
