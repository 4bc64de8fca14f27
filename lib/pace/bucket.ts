import type { Priority, ReservationAnswer, ReservationWish } from '../ledger/pace.ts'
import type { Limit, LimitState } from './pace.ts'

/** The most that is reserved ahead, in milliseconds of the schedule: who dies or changes his mind wastes no more. */
const RESERVED_MS = 200

/** How late a request may be for its place in the schedule, at least: timers and a busy event loop are. */
const LATE_MS = 25

/** Below this share in use nothing is slowed down, from this one on nothing is sent. */
const SLOW_FROM = 0.75
const STOP_FROM = 0.95

/** The distance of requests just before the stop, where the server tells a share and nothing else. */
const WIDEST_MS = 1_000

/** How long to stop when the server does not say until when. */
const STOP_MS = 10_000

/** What floating point makes of sums of epoch milliseconds is far below this. */
export const NOTHING_MS = 0.01

interface Stretch {
  from: number
  readonly to: number
  /** Its end as the ledger counts; undefined when it is not from there. */
  readonly end: number | undefined
}

/**
 * One bucket as one process sees it: stretches of its schedule that are reserved for this process, of which every request takes as much as it costs.
 * What has accrued is lost when it lies further back than the bucket is deep. All times in milliseconds.
 */
export class Bucket {
  readonly key: string
  /** Whether its schedule is shared with other processes; without a declared limit there is nothing to share. */
  readonly shared: boolean
  /** Until then nothing goes. */
  pausedUntil = 0
  /** What a request of cost 1 takes up at the declared rate. */
  readonly #interval: number
  /** How much later than its place in the schedule a request may go, beyond what the depth of the bucket allows. */
  readonly #late: number
  #capacity: number
  #stretches: Stretch[]
  /** Of the declared rate, as the ledger last said. */
  #share = 1
  /** Of the schedule, that this process gets; a guess until it has reserved a few times. */
  #part = 0.25
  #lastEnd: number | undefined
  #spacing = { ms: 0, until: 0 }
  #reservedAt = 0
  #spent = 0
  /** Before this time it is no use to ask the ledger: for anybody, and for backfills. */
  #askAt = { live: 0, backfill: 0 }

  constructor(key: string, limit: Limit | undefined) {
    this.key = key
    this.shared = limit !== undefined
    const { requests, seconds, burst } = limit ?? { requests: Number.POSITIVE_INFINITY, seconds: 0, burst: 1 }
    this.#capacity = burst ?? Math.max(1, Math.floor(requests / 20))
    const window = seconds * 1_000
    const apart = burst === undefined ? requests - this.#capacity + 1 : requests
    this.#late = Math.max(0, LATE_MS - ((this.#capacity - 1) * window) / apart)
    // Where a number is promised for any window, what may go at once and what may come late have their place in it.
    this.#interval = (burst === undefined ? window + this.#late : window) / apart
    this.#stretches = limit === undefined ? [{ from: 0, to: Number.POSITIVE_INFINITY, end: undefined }] : []
  }

  /** When a request may go as far as this bucket is concerned; undefined when more of the schedule has to be reserved first. */
  readyAt(cost: number, priority: Priority, now: number): number | undefined {
    this.#capacity = Math.max(this.#capacity, cost)
    const reach = this.#forget(cost, now)
    let need = cost * this.#intervalAt(now)
    if (need === 0) return now
    for (const { from, to } of this.#stretches) {
      const start = Math.max(from, reach)
      if (need <= to - start + NOTHING_MS) return start + need
      need -= to - start
    }
    const askAt = Math.max(this.#askAt.live, priority === 'live' ? 0 : this.#askAt.backfill)
    return askAt > now ? askAt : undefined
  }

  /** Takes what a request costs. */
  spend(cost: number, now: number): void {
    let need = cost * this.#intervalAt(now)
    this.#spent += cost
    for (const stretch of this.#stretches) {
      const taken = Math.min(need, stretch.to - stretch.from)
      stretch.from += taken
      need -= taken
    }
  }

  /** What to ask of the ledger when requests of that cost wait in all, and `least` the first of them: a little ahead when many go. */
  wish(waiting: number, least: number, priority: Priority, now: number): ReservationWish {
    const interval = this.#intervalAt(now)
    const lately = now - this.#reservedAt <= 2 * RESERVED_MS ? 2 * this.#spent : 0
    const cost = Math.max(least, Math.min(RESERVED_MS / interval, Math.max(waiting, lately)))
    return { bucket: this.key, ms: cost * interval * this.#share, reachMs: this.#capacity * interval, priority }
  }

  /** Takes in what the ledger answered. */
  accept(answer: ReservationAnswer, now: number): void {
    if ('waitMs' in answer) {
      if (answer.why === 'live') this.#askAt.backfill = now + answer.waitMs
      else this.pausedUntil = Math.max(this.pausedUntil, now + answer.waitMs)
      return
    }
    const { fromMs, toMs, end, share } = answer
    if (this.#lastEnd !== undefined) {
      const part = Math.min(1, (toMs - fromMs) / Math.max(NOTHING_MS, end - this.#lastEnd))
      this.#part = Math.max(0.1, this.#part + 0.3 * (part - this.#part))
    }
    this.#lastEnd = end
    this.#share = share
    this.#stretches.push({ from: now + fromMs, to: now + toMs, end })
    this.#reservedAt = now
    this.#spent = 0
  }

  /** Goes on without the ledger for a moment, at the part of the rate that this process had before. */
  goAlone({ ms }: ReservationWish, now: number): void {
    const length = ms / this.#share
    this.#stretches.push({ from: now, to: now + length, end: undefined })
    this.#askAt.live = now + length / this.#part
  }

  /** Lets go of everything that is reserved; returns what of it can be given back. */
  release(): { readonly bucket: string; readonly end: number; readonly ms: number } | undefined {
    const last = this.#stretches.at(-1)
    if (!this.shared) return undefined
    this.#stretches = []
    const ms = last === undefined ? 0 : last.to - last.from
    return last?.end === undefined || ms <= NOTHING_MS ? undefined : { bucket: this.key, end: last.end, ms }
  }

  /** The API throttled: what has accrued was not there, and for so long there is nothing. */
  throttled(pauseMs: number, now: number): void {
    this.pausedUntil = Math.max(this.pausedUntil, now + pauseMs)
    for (const stretch of this.#stretches) stretch.from = Math.max(stretch.from, Math.min(now, stretch.to))
  }

  /** Heeds what the API says is left. */
  told({ remaining, limit, resetMs, usedRatio }: LimitState, now: number): void {
    const counted = remaining !== undefined && limit !== undefined && limit > 0 ? 1 - remaining / limit : undefined
    const used = usedRatio ?? counted ?? SLOW_FROM
    let ms = 0
    if (remaining !== undefined && resetMs !== undefined) {
      if (remaining <= 0) this.pausedUntil = Math.max(this.pausedUntil, now + resetMs)
      // What is left is spread until there is more.
      else if (used >= SLOW_FROM) ms = resetMs / remaining
    } else if (used >= STOP_FROM) {
      this.pausedUntil = Math.max(this.pausedUntil, now + (resetMs ?? STOP_MS))
      ms = WIDEST_MS
    } else if (used > SLOW_FROM) {
      ms = (WIDEST_MS * (used - SLOW_FROM)) / (STOP_FROM - SLOW_FROM)
    }
    this.#spacing = { ms, until: now + (resetMs ?? STOP_MS) }
  }

  #intervalAt(now: number): number {
    return Math.max(this.#interval / this.#share, now < this.#spacing.until ? this.#spacing.ms : 0)
  }

  /** Drops what lies too far back; returns how far back is not too far. */
  #forget(cost: number, now: number): number {
    const interval = this.#intervalAt(now)
    // A request as dear as the bucket is deep would otherwise never be on time.
    const late = Math.max(this.#late, LATE_MS - (this.#capacity - cost) * interval)
    const reach = now - this.#capacity * interval - late
    if (this.#stretches.some(({ from, to }) => to - Math.max(from, reach) <= NOTHING_MS)) {
      this.#stretches = this.#stretches.filter(({ from, to }) => to - Math.max(from, reach) > NOTHING_MS)
    }
    for (const stretch of this.#stretches) stretch.from = Math.max(stretch.from, reach)
    return reach
  }
}

/** What is wrong with a declared limit, if anything. */
export function problemOf(limit: Limit): string | undefined {
  const { requests, seconds, burst = 1 } = limit
  if (requests > 0 && seconds > 0 && burst >= 1 && Number.isFinite(requests * seconds * burst)) return undefined
  return `${JSON.stringify(limit)} needs requests and seconds above 0, and a burst of at least 1`
}
