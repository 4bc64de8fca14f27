/** What is left of the limit after a failure. */
const BACKED_OFF = 0.75

/** Failures within this time are one: the requests were under way together. */
const ONE_EVENT_MS = 1_000

/**
 * How many requests of one account may be under way: one more when as many as that went well, a quarter less when the API throttles or fails (AIMD),
 * never less than 1 and never more than the ceiling.
 */
export class Concurrency {
  readonly #ceiling: number
  #limit: number
  #failedAt = Number.NEGATIVE_INFINITY
  #underWay = 0

  constructor(ceiling: number) {
    this.#ceiling = ceiling
    this.#limit = ceiling
  }

  /** The limit now. */
  get limit(): number {
    return Math.floor(this.#limit)
  }

  /** Whether one more may begin. */
  get free(): boolean {
    return this.#underWay < this.limit
  }

  begin(): void {
    this.#underWay++
  }

  /** One has ended; `abandoned` says nothing about the API. */
  end(outcome: 'ok' | 'throttled' | 'failed' | 'abandoned', now: number): void {
    this.#underWay--
    if (outcome === 'ok') this.#limit = Math.min(this.#ceiling, this.#limit + 1 / this.#limit)
    else if (outcome !== 'abandoned' && now >= this.#failedAt + ONE_EVENT_MS) {
      this.#failedAt = now
      this.#limit = Math.max(1, this.#limit * BACKED_OFF)
    }
  }
}
