// CPU time and memory of a process and everything below it, from Linux's /proc. Elsewhere the readings are
// zero and the report leaves their columns empty: the rates need none of this.
import { readdirSync, readFileSync } from 'node:fs'

/** USER_HZ: fixed at 100 for userspace on every Linux that Node has builds for. */
const TICKS_PER_SECOND = 100

export type Reading = {
  /** Of the process itself, without its children. */
  readonly cpuSeconds: number
  readonly rssBytes: number
  readonly childCpuSeconds: number
  readonly childPids: readonly number[]
}

export function readTree(pid: number): Reading {
  const childPids = descendants(pid)
  return {
    cpuSeconds: cpuSeconds(pid),
    rssBytes: rssBytes(pid),
    childCpuSeconds: childPids.reduce((sum, child) => sum + cpuSeconds(child), 0),
    childPids,
  }
}

/** CPU seconds that the whole machine has worked since boot; tells how loud the neighbours were. */
export function machineCpuSeconds(): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = read('/proc/stat')
    .slice('cpu '.length, 200)
    .trim()
    .split(/\s+/)
    .map(Number)
  return (user + nice + system + irq + softirq) / TICKS_PER_SECOND
}

export function isAlive(pid: number): boolean {
  const stat = read(`/proc/${pid}/stat`)
  return stat !== '' && !/\) Z /.test(stat)
}

function cpuSeconds(pid: number): number {
  const stat = read(`/proc/${pid}/stat`)
  // The command's name is in parentheses and may hold spaces and parentheses; user and system time are the
  // 12th and 13th field after it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / TICKS_PER_SECOND
}

function rssBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) * 1024
}

function descendants(pid: number): number[] {
  const children = threads(pid).flatMap((thread) =>
    read(`/proc/${pid}/task/${thread}/children`).split(' ').filter(Boolean).map(Number),
  )
  return children.flatMap((child) => [child, ...descendants(child)])
}

function threads(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`)
  } catch {
    return []
  }
}

/** Processes end between two reads; that is not an error here. */
function read(file: string): string {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    return ''
  }
}
