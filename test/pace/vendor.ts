import type { LimitState, TryOutcome } from '../../lib/pace/pace.ts'
import type { VirtualTime } from './virtual-time.ts'

/** What a simulated API does, and what it says about it. */
export interface VendorOptions {
  readonly time: VirtualTime
  /** Requests per second that it allows, by seconds since the start. Nobody is told. */
  readonly rate: (seconds: number) => number
  /** What its bucket holds. */
  readonly capacity: number
  /** How it says that it is too much. `left`: every answer tells what is left, and a refusal when to come back. */
  readonly says: 'left' | 'retry-after' | 'nothing'
  /** Milliseconds an answer takes. */
  readonly latency: () => number
}

/** An API with a hidden bucket whose rate drifts. */
export class Vendor {
  allowed = 0
  served = 0
  throttled = 0
  readonly servedOf = new Map<string, number>()
  readonly #options: VendorOptions
  readonly #start: number
  #tokens: number
  #at: number

  constructor(options: VendorOptions) {
    this.#options = options
    this.#start = options.time.now()
    this.#at = this.#start
    this.#tokens = options.capacity
    this.allowed = options.capacity
  }

  /** Lets time flow into the bucket, in steps so small that the rate is level within them. */
  flow(): void {
    const { time, rate, capacity } = this.#options
    while (this.#at < time.now()) {
      const step = Math.min(50, time.now() - this.#at)
      const tokens = (rate((this.#at - this.#start) / 1_000) * step) / 1_000
      this.allowed += tokens
      this.#tokens = Math.min(capacity, this.#tokens + tokens)
      this.#at += step
    }
  }

  /** Answers one request. */
  async answer(account: string): Promise<TryOutcome> {
    const { time, rate, capacity, says, latency } = this.#options
    const taken = latency()
    await time.sleep(taken / 2)
    this.flow()
    const now = rate((time.now() - this.#start) / 1_000)
    const fits = this.#tokens >= 1
    if (fits) {
      this.#tokens--
      this.served++
      this.servedOf.set(account, (this.servedOf.get(account) ?? 0) + 1)
    } else this.throttled++
    const state: LimitState = {
      bucket: 'app',
      remaining: Math.floor(this.#tokens),
      limit: capacity,
      resetMs: ((capacity - this.#tokens) / now) * 1_000,
    }
    await time.sleep(taken / 2)
    const limits = says === 'left' ? [state] : []
    if (fits) return { status: 200, outcome: 'ok', limits }
    if (says === 'nothing') return { status: 429, outcome: 'throttled' }
    return { status: 429, outcome: 'throttled', waitMs: says === 'left' ? (2 / now) * 1_000 : 1_000, limits }
  }
}

/** Numbers between 0 and 1 that look random and are always the same. */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}
