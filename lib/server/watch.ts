import { setTimeout as delay } from 'node:timers/promises'

/** How long a question is left alone after it was asked, at least, and the share of all time that asking may take. */
const PAUSE_MS = 500
const SHARE = 1 / 20

/** A question that somebody waits for. */
interface Watched<T> {
  waiting: number
  askedAt: number
  answer: Promise<T>
}

/**
 * Asks questions again for as long as somebody waits for another answer: each once, whoever waits for it, and all together for a twentieth of
 * the time, because asking an embedded ledger keeps the process from everything else.
 */
export class Watch<T> {
  readonly #ask: (question: string) => Promise<T>
  readonly #watched = new Map<string, Watched<T>>()
  #tookMs = 0

  /** `ask` answers a question, which is any text that says what is asked. */
  constructor(ask: (question: string) => Promise<T>) {
    this.#ask = ask
  }

  /** How many wait. */
  get waiting(): number {
    return [...this.#watched.values()].reduce((sum, { waiting }) => sum + waiting, 0)
  }

  /** The first answer from now on for which `enough` holds; undefined when the signal comes first. */
  async until(question: string, enough: (answer: T) => boolean, signal: AbortSignal): Promise<T | undefined> {
    const watched = this.#watched.get(question) ?? { waiting: 0, askedAt: performance.now(), answer: this.#timed(question) }
    this.#watched.set(question, watched)
    watched.waiting++
    try {
      for (;;) {
        const answer = await watched.answer
        if (signal.aborted) return undefined
        if (enough(answer)) return answer
        await delay(this.#pauseMs(), undefined, { signal })
        if (performance.now() - watched.askedAt < PAUSE_MS) continue
        watched.askedAt = performance.now()
        watched.answer = this.#timed(question)
      }
    } catch (error) {
      if (signal.aborted) return undefined
      throw error
    } finally {
      watched.waiting--
      if (watched.waiting === 0) this.#watched.delete(question)
    }
  }

  async #timed(question: string): Promise<T> {
    const began = performance.now()
    try {
      return await this.#ask(question)
    } finally {
      this.#tookMs = performance.now() - began
    }
  }

  #pauseMs(): number {
    return Math.max(PAUSE_MS, (this.#tookMs * this.#watched.size) / SHARE)
  }
}
