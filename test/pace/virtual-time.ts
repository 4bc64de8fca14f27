import { setImmediate } from 'node:timers/promises'

/** A clock on which nothing takes time but what sleeps: the same program always runs the same way, and an hour takes as long as its events. */
export class VirtualTime {
  #now: number
  #order = 0
  #sleepers: { readonly at: number; readonly order: number; wake(): void }[] = []

  constructor(now = Date.UTC(2026, 0, 31, 12)) {
    this.#now = now
  }

  now = (): number => this.#now

  sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason)
        return
      }
      const abort = (): void => {
        this.#sleepers = this.#sleepers.filter(other => other !== sleeper)
        reject(signal?.reason)
      }
      const wake = (): void => {
        signal?.removeEventListener('abort', abort)
        resolve()
      }
      const sleeper = { at: this.#now + Math.max(0, ms), order: this.#order++, wake }
      const behind = this.#sleepers.findIndex(({ at }) => at > sleeper.at)
      this.#sleepers.splice(behind < 0 ? this.#sleepers.length : behind, 0, sleeper)
      signal?.addEventListener('abort', abort, { once: true })
    })

  /**
   * Lets time pass, one event after the other, until the work is done; rejects when it waits for something that never happens, or is not done after so
   * many milliseconds.
   */
  async run<T>(work: Promise<T>, withinMs = Number.POSITIVE_INFINITY): Promise<T> {
    const latest = this.#now + withinMs
    const over = work.then(
      () => true,
      () => true,
    )
    for (;;) {
      // Everything that follows from the last event happens before the next.
      if (await Promise.race([over, setImmediate(false)])) return work
      const next = this.#sleepers.shift()
      if (next === undefined) throw new Error('everybody waits, and nobody sleeps: a wake-up was lost')
      this.#now = Math.max(this.#now, next.at)
      if (this.#now > latest) throw new Error(`not done after ${withinMs} ms, although there is always something to do`)
      next.wake()
    }
  }
}
