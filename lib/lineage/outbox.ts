/** Events that may wait for the receiver; beyond it they are dropped. */
const MOST_WAITING = 1_000

/** How long one delivery may take. */
const DELIVERY_MS = 10_000

/** Pauses between the tries of one event; after the last it is dropped. */
const PAUSES_MS = [500, 2_000, 8_000]

/** How long what still waits may take once the process is at its end. */
const DRAIN_MS = 5_000

/** What was not delivered, and whether the same may be taken another time. The message continues "it was not taken: ...". */
export class Undelivered extends Error {
  override readonly name = 'Undelivered'
  readonly again: boolean

  constructor(message: string, again: boolean) {
    super(message)
    this.again = again
  }
}

/** Takes one event as JSON; rejects with `Undelivered`. */
export type Deliver = (event: string, signal: AbortSignal) => Promise<void>

/** Who is told what became of events, and how long is waited. */
export interface OutboxHost {
  sleep(ms: number, signal: AbortSignal): Promise<void>
  counted(outcome: 'delivered' | 'dropped'): void
  /** Called when events begin to be dropped, with the reason; not again until one was delivered. */
  losing(reason: string): void
}

/**
 * Events on their way to a receiver, one after the other, so that what begins arrives before what ends. Whoever puts one in waits for nothing: what a slow receiver does not take
 * in time, or a broken one not at all, is dropped and counted.
 */
export class Outbox {
  readonly #deliver: Deliver
  readonly #host: OutboxHost
  readonly #waiting: string[] = []
  readonly #over = new AbortController()
  #underWay: Promise<void> | undefined
  #losing = false

  constructor(deliver: Deliver, host: OutboxHost) {
    this.#deliver = deliver
    this.#host = host
  }

  /** Takes an event to be delivered, as soon as it is made; never throws, and never waits. */
  put(make: () => object): void {
    if (this.#waiting.length >= MOST_WAITING) {
      this.#drop(`${MOST_WAITING} events wait already`)
      return
    }
    try {
      this.#waiting.push(JSON.stringify(make()))
    } catch (error) {
      // A defect of ours, and no reason for a chunk to fail.
      this.#drop(`it could not be written: ${error instanceof Error ? error.message : error}`)
      return
    }
    this.#underWay ??= this.#drain()
  }

  /** Delivers what waits, within five seconds; what is left then is dropped. */
  async close(): Promise<void> {
    const done = new AbortController()
    this.#host.sleep(DRAIN_MS, done.signal).then(
      () => this.#over.abort(),
      () => undefined,
    )
    await this.#underWay
    done.abort()
  }

  async #drain(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) await this.#send(next)
    // Within the same turn as the look that found nothing, or what is put in between would be forgotten.
    this.#underWay = undefined
  }

  async #send(event: string): Promise<void> {
    let reason = 'the process came to its end first'
    for (const pause of [...PAUSES_MS, undefined]) {
      try {
        const deadline = AbortSignal.any([this.#over.signal, AbortSignal.timeout(DELIVERY_MS)])
        await within(deadline, signal => this.#deliver(event, signal))
        this.#losing = false
        this.#host.counted('delivered')
        return
      } catch (error) {
        const over = this.#over.signal.aborted
        if (!over) reason = reasonOf(error)
        if (pause === undefined || over || (error instanceof Undelivered && !error.again)) {
          this.#drop(reason)
          return
        }
        await this.#host.sleep(pause, this.#over.signal).catch(() => undefined)
      }
    }
  }

  #drop(reason: string): void {
    this.#host.counted('dropped')
    if (this.#losing) return
    this.#losing = true
    this.#host.losing(reason)
  }
}

/** Work that is given up when the signal says so, whether it heeds the signal or not. */
async function within(signal: AbortSignal, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const given = Promise.withResolvers<never>()
  const giveUp = (): void => given.reject(signal.reason)
  signal.addEventListener('abort', giveUp)
  try {
    signal.throwIfAborted()
    await Promise.race([work(signal), given.promise])
  } finally {
    signal.removeEventListener('abort', giveUp)
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof Undelivered) return error.message
  return error instanceof Error && error.name === 'TimeoutError' ? `no answer within ${DELIVERY_MS / 1_000} s` : 'it failed'
}
