import { setImmediate, setTimeout } from 'node:timers/promises'

/** Sleeps up to this long take no time but their own: they are pauses within a piece of work, not until the next. */
const PAUSE_MS = 500

/**
 * A clock on which weeks pass in seconds although real files are read and written: time stands still while a chunk is under way, and then goes on, in whole
 * steps, to the next moment that anybody waits for. Between two steps everybody who was due wakes at once, as in a process that gets
 * the processor late.
 */
export class Calendar {
  #now: number
  readonly #stepMs: number
  readonly #sleepers = new Set<{ readonly at: number; wake(): void }>()
  #underWay = 0
  /** Moments since the last step that came as they were asked for. */
  #exact = 0

  constructor(now: number, stepMs: number) {
    this.#now = now
    this.#stepMs = stepMs
  }

  now = (): number => this.#now

  /** Says that work begins (1) or is over (-1). */
  working(more: 1 | -1): void {
    this.#underWay += more
  }

  sleep = async (ms: number, signal: AbortSignal): Promise<void> => {
    signal.throwIfAborted()
    if (ms <= PAUSE_MS) {
      await setImmediate()
      return
    }
    await new Promise<void>((resolve, reject) => {
      const sleeper = {
        at: this.#now + ms,
        wake: (): void => {
          this.#sleepers.delete(sleeper)
          signal.removeEventListener('abort', abort)
          resolve()
        },
      }
      const abort = (): void => {
        this.#sleepers.delete(sleeper)
        reject(signal.reason)
      }
      this.#sleepers.add(sleeper)
      signal.addEventListener('abort', abort, { once: true })
    })
  }

  /** Lets time pass until the work is done; `onStep` is told every step. */
  async run<T>(work: Promise<T>, onStep: (now: number) => void = () => undefined): Promise<T> {
    const over = work.then(
      () => true,
      () => true,
    )
    for (;;) {
      // Everything that follows from the last step happens before the next.
      if (await Promise.race([over, setImmediate(false)])) return work
      if (this.#underWay > 0 || this.#sleepers.size === 0) {
        await setTimeout(1)
        continue
      }
      const next = Math.min(...[...this.#sleepers].map(({ at }) => at))
      // After a step, whoever looks around every second finds what has been begun in it.
      this.#exact = next <= this.#now + 1_000 && this.#exact < 3 ? this.#exact + 1 : 0
      this.#now = this.#exact > 0 ? Math.max(this.#now, next) : Math.max(this.#now, Math.ceil(next / this.#stepMs) * this.#stepMs)
      onStep(this.#now)
      for (const sleeper of [...this.#sleepers]) if (sleeper.at <= this.#now) sleeper.wake()
    }
  }
}
