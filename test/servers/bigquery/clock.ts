import { setTimeout as sleep } from 'node:timers/promises'

/** The time as the server sees it: that of the machine, and what a test has added. */
export class Clock {
  #ahead = 0
  readonly #closing = new AbortController()

  /** Milliseconds since 1970. */
  now(): number {
    return Date.now() + this.#ahead
  }

  /** Lets time pass at once: tables expire, streaming buffers are flushed, quotas refill. */
  advance(ms: number): void {
    this.#ahead += ms
  }

  /** Waits in real time; ends early when the server closes or the signal is aborted. */
  async wait(ms: number, signal?: AbortSignal): Promise<void> {
    if (ms <= 0) return
    const ends = signal === undefined ? this.#closing.signal : AbortSignal.any([this.#closing.signal, signal])
    await sleep(ms, undefined, { signal: ends }).catch(() => undefined)
  }

  /** Ends every wait. */
  close(): void {
    this.#closing.abort()
  }
}
