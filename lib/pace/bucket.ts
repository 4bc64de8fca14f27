import { LATE_MS, type Priority, type Remainder, type ReservationAnswer, type ReservationWish } from '../ledger/pace.ts'
import type { Limit, LimitState } from './pace.ts'

/** The most that is reserved ahead, in milliseconds of the schedule: who dies or changes his mind wastes no more. */
const RESERVED_MS = 200

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
  /** What becomes of stretches when there is an answer to a wish, in the order of the wishes. */
  #asked: { readonly offered: Stretch | undefined; readonly overtaken: ReadonlySet<Stretch> }[] = []
  /** Of the declared rate, as the ledger last said. */
  #share = 1
  /** Of the schedule, that this process gets; a guess until it has reserved a few times. */
  #part = 0.25
  #lastEnd: number | undefined
  #spacing = { ms: 0, until: 0 }
  #reservedAt = 0
  #spent = 0
  /** While live work of another process goes first: backfills reserve nothing. */
  #liveUntil = 0
  /** While this process goes on alone: nothing is reserved. */
  #aloneUntil = 0

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

  /** From when until when a request may go by what is reserved; undefined when that is not enough. */
  held(cost: number, now: number): { readonly from: number; readonly until: number } | undefined {
    this.#capacity = Math.max(this.#capacity, cost)
    const interval = this.#intervalAt(now)
    const need = cost * interval
    if (need === 0) return { from: now, until: Number.POSITIVE_INFINITY }
    const reach = this.#reach(cost, interval)
    let usable = this.#usable(now - reach)
    while (usable[0] !== undefined) {
      const first = usable[0].from
      const from = after(usable, need)
      // What is to come may be too far away for what has accrued to be still there.
      if (from <= first + reach) {
        const enough = usable.filter(stretch => stretch.from < from)
        return { from, until: after(enough, lengthOf(enough) - need) + reach }
      }
      usable = usable.slice(1)
    }
    return undefined
  }

  /** Before this time it is no use to ask the ledger for a request, given whether it lacks something of this bucket. */
  askAt(priority: Priority, lacks: boolean): number {
    return Math.max(lacks ? this.#aloneUntil : 0, priority === 'live' ? 0 : this.#liveUntil)
  }

  /** Takes what a request costs. */
  spend(cost: number, now: number): void {
    const interval = this.#intervalAt(now)
    let need = cost * interval
    this.#spent += cost
    for (const stretch of this.#stretches) {
      stretch.from = Math.max(stretch.from, now - this.#reach(cost, interval))
      const taken = Math.min(need, Math.max(0, stretch.to - stretch.from))
      stretch.from += taken
      need -= taken
    }
  }

  /** How much may be reserved ahead, and how much of that is wanted, whoever waits, because many went lately. */
  ahead(now: number): { readonly most: number; readonly lately: number } {
    return { most: RESERVED_MS / this.#intervalAt(now), lately: now - this.#reservedAt <= 2 * RESERVED_MS ? 2 * this.#spent : 0 }
  }

  /** What to ask of the ledger for a request, and in all for it and those behind it; an answer has to follow. */
  wish(cost: number, total: number, priority: Priority, now: number): ReservationWish {
    const held = this.held(cost, now)
    const unused = this.#unused()
    // Nobody may use what is offered back, until there is an answer.
    const offered = unused === undefined ? undefined : this.#stretches.pop()
    // What is reserved anew although there is enough comes after all that there is has lapsed.
    this.#asked.push({ offered, overtaken: new Set(held === undefined ? [] : this.#stretches) })
    return {
      bucket: this.key,
      cost,
      total,
      depth: this.#capacity,
      intervalMs: this.#interval,
      spacedMs: this.#spacedAt(now),
      priority,
      held: held === undefined ? undefined : { fromMs: held.from - now, untilMs: held.until - now },
      unused,
    }
  }

  /** Takes in what the ledger answered. */
  accept(answer: ReservationAnswer, now: number): void {
    const reserved = answer !== undefined && 'end' in answer ? answer : undefined
    const { offered, overtaken } = this.#asked.shift() ?? {}
    if (offered !== undefined && reserved?.returned !== true) this.#stretches.push(offered)
    if (answer === undefined) return
    if ('waitMs' in answer) {
      if (answer.why === 'live') this.#liveUntil = now + answer.waitMs
      else this.pausedUntil = Math.max(this.pausedUntil, now + answer.waitMs)
      return
    }
    const { fromMs, toMs, end, share, returned } = answer
    const before = returned && offered !== undefined ? offered.from - offered.to : 0
    if (this.#lastEnd !== undefined) {
      const part = Math.min(1, (toMs - fromMs) / Math.max(NOTHING_MS, end - this.#lastEnd - before))
      this.#part = Math.max(0.1, this.#part + 0.3 * (part - this.#part))
    }
    this.#lastEnd = end
    this.#share = share
    const lapsed = now - this.#capacity * this.#intervalAt(now) - LATE_MS
    this.#stretches = this.#stretches.filter(stretch => overtaken?.has(stretch) !== true && stretch.to > lapsed)
    this.#stretches.push({ from: now + fromMs, to: now + toMs, end })
    this.#reservedAt = now
    this.#spent = 0
  }

  /** Takes in that the ledger was busy. */
  unanswered(): void {
    for (const { offered } of this.#asked.splice(0).reverse()) if (offered !== undefined) this.#stretches.push(offered)
  }

  /** When a request might go without the ledger. */
  readyAlone(cost: number, now: number): number {
    return this.held(cost, now)?.from ?? Math.max(now, this.#aloneUntil) + cost * this.#intervalAt(now)
  }

  /** Goes on without the ledger for a moment, at the part of the rate that this process had before, so that a request may go at that time. */
  goAlone(cost: number, total: number, at: number, now: number): void {
    if ((this.held(cost, now)?.until ?? 0) >= at) return
    const interval = this.#intervalAt(now)
    const from = at - cost * interval
    this.#stretches.push({ from, to: from + total * interval, end: undefined })
    this.#aloneUntil = from + (total * interval) / this.#part
  }

  /** Lets go of everything that is reserved; returns what of it can be given back. */
  release(): ({ readonly bucket: string } & Remainder) | undefined {
    if (!this.shared) return undefined
    const unused = this.#unused()
    this.#stretches = []
    return unused === undefined ? undefined : { bucket: this.key, ...unused }
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

  #spacedAt(now: number): number {
    return now < this.#spacing.until ? this.#spacing.ms : 0
  }

  #intervalAt(now: number): number {
    return Math.max(this.#interval / this.#share, this.#spacedAt(now))
  }

  /** How far back what has accrued counts for a request. One as dear as the bucket is deep would otherwise never be on time. */
  #reach(cost: number, interval: number): number {
    return this.#capacity * interval + Math.max(this.#late, LATE_MS - (this.#capacity - cost) * interval)
  }

  /** What is reserved and does not lie too far back. */
  #usable(since: number): Stretch[] {
    return this.#stretches
      .map(stretch => ({ ...stretch, from: Math.max(stretch.from, since) }))
      .filter(({ from, to }) => to - from > NOTHING_MS)
  }

  /** What of the last stretch nobody has used, where it is from the ledger. */
  #unused(): Remainder | undefined {
    const last = this.#stretches.at(-1)
    const ms = last === undefined ? 0 : last.to - last.from
    return last?.end === undefined || ms <= NOTHING_MS ? undefined : { end: last.end, ms }
  }
}

function lengthOf(stretches: readonly Stretch[]): number {
  return stretches.reduce((sum, { from, to }) => sum + to - from, 0)
}

/** When so much of some stretches is over; `Infinity` when they are shorter. */
function after(stretches: readonly Stretch[], ms: number): number {
  let left = ms
  for (const { from, to } of stretches) {
    if (left <= to - from + NOTHING_MS) return from + left
    left -= to - from
  }
  return Number.POSITIVE_INFINITY
}

/** What is wrong with a declared limit, if anything. */
export function problemOf(limit: Limit): string | undefined {
  const { requests, seconds, burst = 1 } = limit
  if (requests > 0 && seconds > 0 && burst >= 1 && Number.isFinite(requests * seconds * burst)) return undefined
  return `${JSON.stringify(limit)} needs requests and seconds above 0, and a burst of at least 1`
}
