/** A server that runs as a child and speaks newline-delimited JSON-RPC on its pipes (MCP, basic/transports, stdio). */
import { createCorrelator } from '../correlator.ts'
import { WireError } from '../errors.ts'
import { isResponse } from '../json-rpc.ts'
import { createLineReader } from '../lines.ts'
import { createThrottle, limitLines } from '../noise.ts'
import { parseUpstream } from '../parse.ts'
import { endGroup, spawnGroup, sweepGroup, type ChildOptions, type PipedChild } from '../process-group.ts'
import { createStderrReader } from '../stderr-budget.ts'
import { defaultUpstreamLimits, type Upstream, type UpstreamEvents, type UpstreamLimits } from '../upstream.ts'

export type StdioUpstreamOptions = ChildOptions &
  UpstreamEvents & {
    /** `newest` for a connection that one legacy session owns, `sole` for one that is shared. */
    readonly attribution: 'newest' | 'sole'
    readonly limits?: Partial<UpstreamLimits>
    /** Time for each step of closing: stdin, SIGTERM, SIGKILL. @default 1_500 */
    readonly graceMs?: number
  }

/** Garbage costs more than its bytes: each line is parsed in vain. */
const GARBAGE_WEIGHT = 10
/** Bytes that may wait for a child that doesn't read its stdin. */
const MAX_UNWRITTEN_BYTES = 64 * 1024 * 1024
/** After an exit, how long the rest of stdout may take: a grandchild can hold the pipe open for ever. */
const DRAIN_MS = 200

/** Starts the child at once. A command that can't be started shows as `closed` and as WIRE_UPSTREAM_CLOSED. */
export function createStdioUpstream(options: StdioUpstreamOptions): Upstream {
  const limits = { ...defaultUpstreamLimits, ...options.limits }
  const child = spawnGroup(options)
  const write = createWriter(child)
  const diagnose = limitLines(options.onDiagnostic)
  const slowStdout = createThrottle(child.stdout)
  const correlator = createCorrelator({
    send: (message) => write(JSON.stringify(message)),
    onUnrelated: (message) => {
      if (isResponse(message)) diagnose(`an answer that nobody waits for: ${JSON.stringify(message.id)}`)
      else options.onMessage(message)
    },
    attribution: options.attribution,
    idleTimeoutMs: limits.idleTimeoutMs,
    maxInFlight: limits.maxInFlight,
  })

  const onLine = (line: string): void => {
    const message = parseUpstream(line, limits.maxDepth)
    if (message !== undefined) return correlator.accept(message, line.length)
    slowStdout(line.length * GARBAGE_WEIGHT)
    diagnose(`not JSON-RPC on stdout: ${line.slice(0, 200)}`)
    return undefined
  }
  const onOverflow = (start: string): void => {
    const problem = `a line on stdout exceeds ${limits.maxLineBytes} bytes and was dropped`
    diagnose(problem)
    // Its caller needn't wait for the timeout: ids are ours, and servers write theirs first.
    const [, id] = /"id"\s*:\s*(\d{1,15})\b/.exec(start) ?? []
    if (id !== undefined) correlator.fail(Number(id), new WireError('WIRE_UPSTREAM_PROTOCOL', problem))
  }
  child.stdout.on('data', createLineReader(limits.maxLineBytes, onLine, onOverflow))
  const readStderr = createStderrReader(diagnose)
  const slowStderr = createThrottle(child.stderr)
  child.stderr.on('data', (chunk: Buffer) => {
    readStderr(chunk)
    slowStderr(chunk.length)
  })

  const closed = whenClosed(child).then((reason) => {
    correlator.close(new WireError('WIRE_UPSTREAM_CLOSED', `the server process ended: ${reason}`))
    return reason
  })

  return {
    transport: 'stdio',
    closed,
    load: correlator.load,
    answered: correlator.answered,
    request: (message, requestOptions) => {
      if (child.stdin.writableLength > MAX_UNWRITTEN_BYTES) {
        throw new WireError('WIRE_BUFFER_FULL', 'the server does not read its input')
      }
      return correlator.request(message, requestOptions)
    },
    notify: async (message) => write(JSON.stringify(message)),
    respond: async (message) => correlator.respond(message),
    async [Symbol.asyncDispose]() {
      correlator.close(new WireError('WIRE_UPSTREAM_CLOSED', 'the connection was closed'))
      await endGroup(child, options.graceMs ?? 1500)
      await closed
    },
  }
}

/** Collects the lines of one turn of the event loop into one write: a system call per line would be the dearest part of a call. */
function createWriter(child: PipedChild): (line: string) => void {
  let outbox = ''
  const flush = (): void => {
    if (child.stdin.writable) child.stdin.write(outbox)
    outbox = ''
  }
  // EPIPE arrives here when the child is gone; `whenClosed` tells the callers.
  child.stdin.on('error', () => undefined)
  return (line) => {
    if (outbox === '') setImmediate(flush)
    outbox += `${line}\n`
  }
}

function whenClosed(child: PipedChild): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => {
      if (child.pid === undefined) resolve(`it could not be started: ${error.message}`)
    })
    child.once('exit', (code, signal) => {
      if (child.pid !== undefined) sweepGroup(child.pid)
      const reason = signal === null ? `exit code ${code}` : `signal ${signal}`
      const timer = setTimeout(() => resolve(reason), DRAIN_MS)
      child.once('close', () => {
        clearTimeout(timer)
        resolve(reason)
      })
    })
  })
}
