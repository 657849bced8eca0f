/** Cutting a batch where a receiver's limit is: in order, each piece at most `maxBytes`, or a single record that is larger. */
export function piecesOf<T extends { readonly text: string }>(records: readonly T[], maxBytes: number): T[][] {
  const pieces: T[][] = []
  let sizeBytes = Infinity
  for (const record of records) {
    const bytes = Buffer.byteLength(record.text) + 1
    if (sizeBytes + bytes > maxBytes) {
      pieces.push([])
      sizeBytes = 0
    }
    pieces.at(-1)?.push(record)
    sizeBytes += bytes
  }
  return pieces
}
