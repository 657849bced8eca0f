/** Settles as `work` does, or after `timeoutMs` with what `onTimeout` returns as the reason. `work` goes on unheard. */
export async function withDeadline<T>(work: PromiseLike<T>, timeoutMs: number, onTimeout: () => unknown): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(onTimeout()), timeoutMs)
  })
  try {
    return await Promise.race([work, deadline])
  } finally {
    clearTimeout(timer)
  }
}
