/** Times never go back along a log, so it is its own index of time: some 20 reads find a moment in a million entries. */
export async function findTime(timeAt: (seq: number) => Promise<number>, size: number, at: number): Promise<number> {
  let from = 0
  let to = size
  while (from < to) {
    const middle = Math.floor((from + to) / 2)
    if ((await timeAt(middle)) < at) from = middle + 1
    else to = middle
  }
  return from
}
