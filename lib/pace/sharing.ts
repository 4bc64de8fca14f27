import type { PaceLedger, PaceReport, Priority } from '../ledger/pace.ts'
import type { Bucket } from './bucket.ts'

/** How long the ledger is left alone after it was busy, in milliseconds. */
const LEFT_ALONE_MS = 200

/** What a request of some cost needs now of every scope, the narrowest first, and how much is worth reserving for it and those behind it. */
export interface Lack {
  readonly cost: number
  /** All that it takes from in the end. */
  readonly all: readonly Bucket[]
  readonly scopes: readonly { readonly buckets: readonly Bucket[]; readonly priority: Priority; readonly total: number }[]
}

/**
 * The talk of one process with the ledger: one report at a time, and what happens meanwhile goes into the next. While the ledger is busy the buckets go
 * on alone.
 */
export class Sharing {
  readonly #ledger: PaceLedger
  readonly #now: () => number
  /** Until when which bucket gives nothing, where the ledger does not know it yet. */
  #throttled = new Map<string, number>()
  #returned: PaceReport['returned'] = []
  #reporting = false
  #busyUntil = 0

  constructor(ledger: PaceLedger, now: () => number) {
    this.#ledger = ledger
    this.#now = now
  }

  /** The API throttled. */
  throttled({ key, shared }: Bucket, until: number): void {
    if (shared) this.#throttled.set(key, Math.max(this.#throttled.get(key) ?? 0, until))
  }

  /** What is reserved of a bucket will not be used. */
  release(bucket: Bucket): void {
    const unused = bucket.release()
    if (unused !== undefined) this.#returned = [...this.#returned, unused]
  }

  /**
   * Tells what there is to tell and reserves what lacks. Says whether something came of it, so that it is worth looking again who may go; rejects when
   * the ledger cannot be used.
   */
  async report(lacks: readonly Lack[]): Promise<boolean> {
    const now = this.#now()
    if (this.#reporting) return false
    if (now < this.#busyUntil) {
      goAlone(lacks, now)
      return lacks.length > 0
    }
    const [throttled, returned] = [this.#throttled, this.#returned]
    if (lacks.length + throttled.size + returned.length === 0) return false
    this.#reporting = true
    this.#throttled = new Map()
    this.#returned = []
    try {
      const answers = await this.#ledger.pace({
        throttled: [...throttled].map(([bucket, until]) => ({ bucket, pauseMs: Math.max(0, until - now) })),
        returned,
        reservations: lacks.map(({ cost, scopes }) => ({
          // What the API told this process alone.
          afterMs: Math.max(0, ...ofScopes(scopes, false).map(bucket => (bucket.held(cost, now)?.from ?? now) - now)),
          scopes: scopes.map(({ buckets, priority, total }) =>
            buckets.filter(({ shared }) => shared).map(bucket => bucket.wish(cost, total, priority, now)),
          ),
        })),
      })
      const later = this.#now()
      const buckets = lacks.flatMap(({ scopes }) => ofScopes(scopes, true))
      if (answers === 'busy') {
        this.#busyUntil = later + LEFT_ALONE_MS
        for (const [bucket, until] of this.#throttled) throttled.set(bucket, Math.max(throttled.get(bucket) ?? 0, until))
        this.#throttled = throttled
        this.#returned = [...returned, ...this.#returned]
        for (const bucket of buckets) bucket.unanswered()
        goAlone(lacks, later)
      } else {
        for (const [index, answer] of answers.flat(2).entries()) buckets[index]?.accept(answer, later)
      }
      return true
    } finally {
      this.#reporting = false
    }
  }
}

/** Goes on without the ledger, with all that a request needs in time for it. */
function goAlone(lacks: readonly Lack[], now: number): void {
  for (const { cost, all, scopes } of lacks) {
    const at = Math.max(...all.map(bucket => bucket.readyAlone(cost, now)))
    for (const bucket of all) bucket.goAlone(cost, scopes.find(({ buckets }) => buckets.includes(bucket))?.total ?? cost, at, now)
  }
}

/** The buckets that processes share, or those that are this one's alone. */
function ofScopes(scopes: Lack['scopes'], shared: boolean): Bucket[] {
  return scopes.flatMap(({ buckets }) => buckets.filter(bucket => bucket.shared === shared))
}
