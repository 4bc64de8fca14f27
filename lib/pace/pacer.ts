import { ConfigError, TransientError } from '../errors.ts'
import type { PaceLedger, Priority } from '../ledger/pace.ts'
import { Bucket, NOTHING_MS, problemOf } from './bucket.ts'
import { Concurrency } from './concurrency.ts'
import type { Limit, LimitState, Pace, PaceRequest, Permit, TryOutcome } from './pace.ts'
import { type Account, Queue, SCOPES, totalOf, type Waiting } from './queue.ts'
import { Sharing } from './sharing.ts'

/** As many connections as a process keeps to one host: more requests at once would only wait there. */
const MOST_AT_ONCE = 32

/** One that waits for more of some buckets, and all that it needs of every scope, the narrowest first. */
interface Lacking {
  readonly waiting: Waiting
  readonly scopes: readonly (readonly Bucket[])[]
}

/** What a pacer needs of its surroundings. Times in milliseconds. */
export interface PacerContext {
  /** Name of the API; names its buckets in the ledger. */
  readonly api: string
  readonly limits?: readonly Limit[] | undefined
  /** Requests of one account that may be under way at once in this process. Default 32. */
  readonly concurrency?: number | undefined
  /** The longest pause that is waited for; a longer one parks the chunk. */
  readonly longestWaitMs: number
  readonly ledger: PaceLedger
  now(): number
  /** Waits, or rejects when the signal aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
  /** Told how long a request had to wait for leave. */
  onWait(ms: number): void
  /** Told the lowest limit on concurrency that any account has, when it changes. */
  onConcurrency(limit: number): void
}

/**
 * Lets the requests to one API go at the pace that the API allows: all limits that it documents, what its answers say is left, and as many at once as go
 * well. Live work goes before backfills; accounts take turns by what their requests cost. What is due is decided in one place, `#run`, whenever
 * something has changed.
 */
export class Pacer {
  readonly #context: PacerContext
  readonly #limits: readonly Limit[]
  readonly #sharing: Sharing
  readonly #buckets = new Map<string, readonly Bucket[]>()
  readonly #accounts = new Map<string, Account>()
  readonly #queue = new Queue()
  readonly #ceiling: number
  #lowest: number
  #alarm: { readonly at: number; readonly off: AbortController } | undefined

  constructor(context: PacerContext) {
    const { limits = [], concurrency = MOST_AT_ONCE } = context
    const problems = [
      ...limits.flatMap(limit => problemOf(limit) ?? []),
      ...(Number.isInteger(concurrency) && concurrency >= 1
        ? []
        : [`a concurrency of ${concurrency} is not a whole number from 1`]),
    ]
    if (problems.length > 0) {
      throw new ConfigError('CONFIG_INVALID', {
        message: `limits of the API ${context.api}: ${problems.join('; ')}`,
        hint: 'Correct the connector. Nothing was read or written.',
      })
    }
    this.#context = context
    this.#limits = limits
    this.#sharing = new Sharing(context.ledger, context.now)
    this.#ceiling = concurrency
    this.#lowest = concurrency
    context.onConcurrency(concurrency)
  }

  /** The pace for work of one priority. */
  pace(priority: Priority): Pace {
    return { acquire: (request, signal) => this.#acquire(request, priority, signal) }
  }

  /** Gives back to other processes what is reserved and will not be used. */
  async close(): Promise<void> {
    this.#alarm?.off.abort()
    for (const bucket of [...this.#buckets.values()].flat()) this.#sharing.release(bucket)
    await this.#sharing.report([])
  }

  async #acquire(request: PaceRequest, priority: Priority, signal: AbortSignal): Promise<Permit> {
    signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<Permit>()
    const { client, endpoint } = request
    const account = this.#accountOf(client)
    const waiting: Waiting = {
      ...request,
      priority,
      account,
      buckets: {
        endpoint: this.#bucketsOf('endpoint', client, endpoint),
        account: this.#bucketsOf('account', client),
        app: this.#bucketsOf('app'),
      },
      since: this.#context.now(),
      go: resolve,
      fail: reject,
    }
    this.#queue.add(waiting)
    const abort = (): void => {
      if (this.#leave(waiting)) {
        reject(signal.reason)
        this.#run()
      }
    }
    signal.addEventListener('abort', abort, { once: true })
    try {
      this.#run(waiting.since)
      return await promise
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  #accountOf(client: string): Account {
    let account = this.#accounts.get(client)
    if (account === undefined) {
      account = { concurrency: new Concurrency(this.#ceiling), turn: 0 }
      this.#accounts.set(client, account)
    }
    return account
  }

  /** The buckets of a scope; where no limit is declared, one that only heeds what the API says. */
  #bucketsOf(per: LimitState['bucket'], ...names: string[]): readonly Bucket[] {
    const scope = JSON.stringify([this.#context.api, per, ...names])
    let buckets = this.#buckets.get(scope)
    if (buckets === undefined) {
      const limits = this.#limits.filter(limit => limit.per === per)
      buckets =
        limits.length === 0
          ? [new Bucket(scope, undefined)]
          : limits.map(
              limit =>
                new Bucket(
                  `${scope} ${limit.requests}/${limit.seconds}s${limit.burst === undefined ? '' : `+${limit.burst}`}`,
                  limit,
                ),
            )
      this.#buckets.set(scope, buckets)
    }
    return buckets
  }

  /** Lets everybody go who may, and sees to it that this is called again when the next one may. */
  #run(now = this.#context.now()): void {
    const heldUp = new Map<Bucket, Waiting[]>()
    const lacking: Lacking[] = []
    let next = Number.POSITIVE_INFINITY
    for (const waiting of this.#queue.all()) {
      const paused = Math.max(...SCOPES.flatMap(scope => waiting.buckets[scope].map(bucket => bucket.pausedUntil)))
      if (paused > now + this.#context.longestWaitMs) {
        this.#leave(waiting)
        waiting.fail(parked(this.#context.api, waiting.client, paused, now))
      } else {
        const at = paused > now ? paused : this.#dueAt(waiting, now, heldUp, lacking)
        if (at <= now) this.#admit(waiting, now)
        else next = Math.min(next, at)
      }
    }
    this.#wakeAt(next)
    void this.#share(lacking, heldUp, now)
  }

  /**
   * When one that waits may go; `Infinity` when something else has to happen first. Whoever is held up by a bucket holds up all behind him who need it,
   * or requests that cost little would always go before one that costs much. But nobody holds up a wider bucket while a narrower one holds him up.
   */
  #dueAt(waiting: Waiting, now: number, heldUp: Map<Bucket, Waiting[]>, lacking: Lacking[]): number {
    const scopes: (readonly Bucket[])[] = []
    for (const scope of SCOPES) {
      if (scope === 'account' && !waiting.account.concurrency.free) return Number.POSITIVE_INFINITY
      scopes.push(waiting.buckets[scope])
      const buckets = scopes.flat()
      const held = new Map(buckets.map(bucket => [bucket, bucket.held(waiting.cost, now)]))
      const due = Math.max(now, ...buckets.map(bucket => held.get(bucket)?.from ?? now))
      const behind = waiting.buckets[scope].some(bucket => heldUp.has(bucket))
      const lacks = buckets.filter(bucket => (held.get(bucket)?.until ?? 0) < due)
      if (!behind && lacks.length === 0 && due <= now + NOTHING_MS) continue
      for (const bucket of buckets) heldUp.set(bucket, [...(heldUp.get(bucket) ?? []), waiting])
      if (behind) return Number.POSITIVE_INFINITY
      if (lacks.length === 0) return due
      const askAt = Math.max(...buckets.map(bucket => bucket.askAt(waiting.priority, lacks.includes(bucket))))
      if (askAt > now) return askAt
      lacking.push({ waiting, scopes })
      return Number.POSITIVE_INFINITY
    }
    return now
  }

  #admit(waiting: Waiting, now: number): void {
    const { account, cost, buckets } = waiting
    this.#queue.remove(waiting, true)
    for (const scope of SCOPES) for (const bucket of buckets[scope]) bucket.spend(cost, now)
    account.concurrency.begin()
    this.#context.onWait(now - waiting.since)
    let over = false
    waiting.go({
      done: outcome => {
        if (over) return
        over = true
        this.#ended(waiting, outcome)
      },
    })
  }

  #ended({ account, buckets }: Waiting, { outcome, waitMs = 0, limits = [] }: TryOutcome): void {
    const now = this.#context.now()
    const before = account.concurrency.limit
    account.concurrency.end(outcome, now)
    if (account.concurrency.limit !== before) this.#tellConcurrency()
    for (const state of limits) buckets[state.bucket][0]?.told(state, now)
    if (outcome === 'throttled') {
      const named = limits.filter(({ remaining, usedRatio }) => (remaining ?? 1) <= 0 || (usedRatio ?? 0) >= 1)
      for (const scope of named.length > 0 ? named.map(({ bucket }) => bucket) : [this.#usualScope()]) {
        for (const bucket of buckets[scope]) {
          bucket.throttled(waitMs, now)
          this.#sharing.throttled(bucket, now + waitMs)
        }
      }
    }
    this.#run()
  }

  /** What an API is taken to mean that throttles without saying which limit: the account, unless it is known to count otherwise. */
  #usualScope(): LimitState['bucket'] {
    return (['account', 'app', 'endpoint'] as const).find(scope => this.#limits.some(({ per }) => per === scope)) ?? 'account'
  }

  #tellConcurrency(): void {
    const lowest = Math.min(...[...this.#accounts.values()].map(({ concurrency }) => concurrency.limit))
    if (lowest === this.#lowest) return
    this.#lowest = lowest
    this.#context.onConcurrency(lowest)
  }

  /** Takes one out that does not wait any more; what was reserved for it alone is given back. */
  #leave(waiting: Waiting): boolean {
    if (!this.#queue.remove(waiting, false)) return false
    this.#context.onWait(this.#context.now() - waiting.since)
    for (const bucket of SCOPES.flatMap(scope => waiting.buckets[scope])) {
      if (this.#queue.of(bucket).length === 0) this.#sharing.release(bucket)
    }
    return true
  }

  #wakeAt(at: number): void {
    if (this.#alarm?.at === at) return
    this.#alarm?.off.abort()
    this.#alarm = undefined
    if (at === Number.POSITIVE_INFINITY) return
    const alarm = { at, off: new AbortController() }
    this.#alarm = alarm
    // The moment may have passed since it was looked up.
    this.#context.sleep(Math.max(0, Math.ceil(at - this.#context.now())), alarm.off.signal).then(
      () => {
        if (this.#alarm !== alarm) return
        this.#alarm = undefined
        this.#run()
      },
      () => undefined,
    )
  }

  async #share(lacking: readonly Lacking[], heldUp: ReadonlyMap<Bucket, readonly Waiting[]>, now: number): Promise<void> {
    const lacks = lacking.map(({ waiting, scopes }) => ({
      cost: waiting.cost,
      all: SCOPES.flatMap(scope => waiting.buckets[scope]),
      scopes: scopes.map(buckets => {
        // Who is held up by one bucket of a scope is held up by all.
        const others = buckets.slice(0, 1).flatMap(bucket => heldUp.get(bucket) ?? [])
        const all = [waiting, ...others.filter(one => one !== waiting)]
        const priority: Priority = all.some(one => one.priority === 'live') ? 'live' : 'backfill'
        return { buckets, priority, total: totalOf(all, buckets, now) }
      }),
    }))
    try {
      if (await this.#sharing.report(lacks)) this.#run()
    } catch (error) {
      for (const waiting of this.#queue.all()) {
        this.#queue.remove(waiting, false)
        waiting.fail(error)
      }
    }
  }
}

function parked(api: string, client: string, until: number, now: number): TransientError {
  return new TransientError('API_THROTTLED', {
    message: `${api} gives nothing for ${client} for another ${Math.ceil((until - now) / 1_000)} s`,
    hint: 'The chunk is parked and left to others meanwhile; run again after that time.',
    notBefore: until,
  })
}
