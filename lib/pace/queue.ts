import type { Priority } from '../ledger/pace.ts'
import type { Bucket } from './bucket.ts'
import type { Concurrency } from './concurrency.ts'
import type { LimitState, PaceRequest, Permit } from './pace.ts'

/** What is known of one account, which is a client as the API sees it. */
export interface Account {
  readonly concurrency: Concurrency
  /** Where its last request ends in the order of turns. */
  turn: number
}

/** The scopes of limits, the narrowest first. */
export const SCOPES = ['endpoint', 'account', 'app'] as const satisfies readonly LimitState['bucket'][]

/** A request that waits for leave. */
export interface Waiting extends PaceRequest {
  readonly priority: Priority
  readonly account: Account
  /** What it takes from. */
  readonly buckets: Readonly<Record<LimitState['bucket'], readonly Bucket[]>>
  /** Epoch milliseconds. */
  readonly since: number
  go(permit: Permit): void
  fail(error: unknown): void
}

/**
 * Who waits, in the order in which they may go: live work, then backfills; within these the accounts take turns by what their requests cost (start-time fair
 * queueing), and the requests of one account go in the order they came. An account that comes anew begins with the others, so none can be starved and
 * none can save up turns.
 */
export class Queue {
  #waiting: { readonly turn: number; readonly one: Waiting }[] = []
  /** The turn of whoever went last. */
  #turn = 0

  add(one: Waiting): void {
    const turn = Math.max(this.#turn, one.account.turn)
    one.account.turn = turn + one.cost
    const behind = this.#waiting.findIndex(({ turn: other, one: { priority } }) =>
      one.priority === priority ? turn < other : one.priority === 'live',
    )
    this.#waiting.splice(behind < 0 ? this.#waiting.length : behind, 0, { turn, one })
  }

  /** Takes one out, because it goes or because it does not wait any more; says whether it was there. */
  remove(one: Waiting, went: boolean): boolean {
    const at = this.#waiting.findIndex(waiting => waiting.one === one)
    const [removed] = at < 0 ? [] : this.#waiting.splice(at, 1)
    if (removed !== undefined && went) this.#turn = Math.max(this.#turn, removed.turn)
    return removed !== undefined
  }

  /** All of them, first come first. */
  all(): Waiting[] {
    return this.#waiting.map(({ one }) => one)
  }

  /** Those who take from a bucket. */
  of(bucket: Bucket): Waiting[] {
    return this.all().filter(({ buckets }) => SCOPES.some(scope => buckets[scope].includes(bucket)))
  }
}

/** How much to reserve for the first of some requests, for whole ones behind it, and for more that come as they did lately. */
export function totalOf(requests: readonly Waiting[], buckets: readonly Bucket[], now: number): number {
  const ahead = buckets.map(bucket => bucket.ahead(now))
  const most = Math.min(...ahead.map(one => one.most))
  const whole = requests.reduce((sum, { cost }) => (sum === 0 || sum + cost <= most ? sum + cost : sum), 0)
  return Math.max(whole, Math.floor(Math.min(most, ...ahead.map(one => one.lately))))
}
