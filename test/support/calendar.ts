import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe } from 'node:diagnostics_channel'
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
  readonly #mostExact: number
  readonly #sleepers = new Set<{ readonly at: number; wake(): void }>()
  #underWay = 0
  /** Requests of undici that are under way, told by its diagnostics. */
  readonly #requests = new Set<unknown>()
  readonly #patient = new AsyncLocalStorage<true>()
  /** Moments since the last step that came as they were asked for. */
  #exact = 0

  /** After a step, the next `exact` moments come as they were asked for: who looks around every second finds what has been begun in it. */
  constructor(now: number, stepMs: number, exact = 3) {
    this.#now = now
    this.#stepMs = stepMs
    this.#mostExact = exact
    subscribe('undici:request:create', message => void this.#requests.add(requestOf(message)))
    for (const end of ['trailers', 'error'])
      subscribe(`undici:request:${end}`, message => void this.#requests.delete(requestOf(message)))
  }

  now = (): number => this.#now

  /** Says that work begins (1) or is over (-1). */
  working(more: 1 | -1): void {
    this.#underWay += more
  }

  /** Does something during which work may wait for a later time: whoever sleeps in it does not stop the clock meanwhile. */
  patiently<T>(something: () => T): T {
    return this.#patient.run(true, something)
  }

  sleep = async (ms: number, signal: AbortSignal): Promise<void> => {
    signal.throwIfAborted()
    if (ms <= PAUSE_MS) {
      await setTimeout(2)
      return
    }
    const working = this.#patient.getStore() === true && this.#underWay > 0 ? 1 : 0
    this.#underWay -= working
    await new Promise<void>((resolve, reject) => {
      const over = (): void => {
        this.#underWay += working
        this.#sleepers.delete(sleeper)
        signal.removeEventListener('abort', abort)
      }
      const sleeper = {
        at: this.#now + ms,
        wake: (): void => {
          over()
          resolve()
        },
      }
      const abort = (): void => {
        over()
        reject(signal.reason)
      }
      this.#sleepers.add(sleeper)
      signal.addEventListener('abort', abort, { once: true })
    })
  }

  /** Lets time pass until the work is done; `onStep` is told every step, before anybody wakes. */
  async run<T>(work: Promise<T>, onStep: (now: number) => void | Promise<void> = () => undefined): Promise<T> {
    const over = work.then(
      () => true,
      () => true,
    )
    for (;;) {
      // Everything that follows from the last step happens before the next.
      if (await Promise.race([over, setImmediate(false)])) return work
      if (this.#underWay > 0 || this.#requests.size > 0 || this.#sleepers.size === 0) {
        await setTimeout(1)
        continue
      }
      // Who lets others work in between has not done yet.
      if (process.getActiveResourcesInfo().includes('Immediate')) continue
      const next = Math.min(...[...this.#sleepers].map(({ at }) => at))
      this.#exact = next <= this.#now + 1_000 && this.#exact < this.#mostExact ? this.#exact + 1 : 0
      this.#now = this.#exact > 0 ? Math.max(this.#now, next) : Math.max(this.#now, Math.ceil(next / this.#stepMs) * this.#stepMs)
      await onStep(this.#now)
      for (const sleeper of [...this.#sleepers]) if (sleeper.at <= this.#now) sleeper.wake()
    }
  }
}

function requestOf(message: unknown): unknown {
  return typeof message === 'object' && message !== null && 'request' in message ? message.request : undefined
}
