/**
 * Memory to write to what is hashed next. Views of its beginning are kept by their length: making a view costs as much as
 * hashing a block, and most of what is hashed is short.
 */
const KEPT_VIEWS = 2048

export type Scratch = {
  readonly bytes: Buffer
  /** The first so many bytes. */
  readonly upTo: (end: number) => Uint8Array
}

export function createScratch(sizeBytes: number, fill: number): Scratch {
  const bytes = Buffer.alloc(sizeBytes, fill)
  const views: (Uint8Array | undefined)[] = []
  return {
    bytes,
    upTo: (end) => (end < KEPT_VIEWS ? (views[end] ??= bytes.subarray(0, end)) : bytes.subarray(0, end)),
  }
}
