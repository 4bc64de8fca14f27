/**
 * How several processes keep one rate limit. Each bucket has a schedule: a line of time on which every request takes up as much as its cost
 * at the rate of the bucket. Processes reserve stretches of that line, one after the other, and spend each within itself, without asking again.
 * Stretches never overlap, so all processes together keep the limit; who dies leaves at most his last stretch unused.
 */
export interface PaceLedger {
  /**
   * Tells what happened to some buckets and reserves the next stretches of some, all in one short transaction, in the order of the report. Answers
   * every wish, or `busy` instead of waiting for other writers: then nothing of the report has counted, and whoever asked goes on alone for a
   * moment. Rejects with an error of headrace when the ledger cannot be used at all.
   */
  pace(report: PaceReport): Promise<readonly ReservationAnswer[] | 'busy'>
}

/** What one process has to say about buckets, and wants of them. */
export interface PaceReport {
  /** The API throttled: nothing is given for so many milliseconds, and less afterwards. */
  readonly throttled: readonly { readonly bucket: string; readonly pauseMs: number }[]
  /** The last `ms` of stretches that end at `end` will not be used; whoever comes next gets them, unless somebody has come already. */
  readonly returned: readonly { readonly bucket: string; readonly end: number; readonly ms: number }[]
  readonly wishes: readonly ReservationWish[]
}

/** Who goes first on one budget: live work, then backfills. */
export type Priority = 'live' | 'backfill'

/** A stretch of a schedule that is wanted. */
export interface ReservationWish {
  readonly bucket: string
  /** How much of the schedule, in milliseconds at the declared rate. */
  readonly ms: number
  /** How far back into the past it may begin: what has accrued there and was never used. */
  readonly reachMs: number
  /** While live work wants more, backfills get nothing. */
  readonly priority: Priority
}

/** A reserved stretch, or how many milliseconds to wait before asking again, and why. */
export type ReservationAnswer =
  | {
      /** Where it begins and ends, in milliseconds from now. */
      readonly fromMs: number
      readonly toMs: number
      /** Its end as the ledger counts; names it when it is given back. */
      readonly end: number
      /** The share of the declared rate that the API is believed to allow now, above 0 and at most 1. */
      readonly share: number
    }
  | { readonly waitMs: number; readonly why: 'paused' | 'live' }

/** What a ledger remembers of a bucket. Instants in epoch milliseconds. */
export interface BucketState {
  /** Up to here its schedule is given away. */
  readonly nextAt: number
  /** Until then nothing is given out of it. */
  readonly pausedUntil: number
  /** Until then live work goes first. */
  readonly liveUntil: number
  /** The share of the declared rate at which the API throttled last; 1 when it never did. */
  readonly peak: number
  /** When that was. */
  readonly slowedAt: number
}

/** A bucket that nobody has used yet. */
export const FRESH_BUCKET: BucketState = { nextAt: 0, pausedUntil: 0, liveUntil: 0, peak: 1, slowedAt: 0 }

/** What is left of the rate right after a throttle. */
const BACKED_OFF = 0.8

/** How quickly the rate comes back, in shares per cubic second: level around the share that was too much, steep far from it. */
const GROWTH = 5e-5

/** The least share of a declared rate: an API that gives less has another limit. */
const LEAST_SHARE = 0.02

/** Throttles within this time are one: requests that were under way when the rate was lowered tell nothing about the new one. */
const ONE_EVENT_MS = 1_000

/** How long backfills stand back after the stretch of live work, so that its next request is there first. */
const LIVE_MARGIN_MS = 20

/**
 * The share of the declared rate that is tried at an instant. It follows the curve of CUBIC (RFC 9438) from four fifths of the share that was too
 * much, slowly past that, and ever faster when nothing happens; so a limit that moves is found again with few refusals.
 */
export function shareOf({ peak, slowedAt, pausedUntil }: BucketState, now: number): number {
  const seconds = Math.max(0, now - Math.max(slowedAt, pausedUntil)) / 1_000
  const level = Math.cbrt((peak * (1 - BACKED_OFF)) / GROWTH)
  return Math.min(1, Math.max(LEAST_SHARE, peak + GROWTH * (seconds - level) ** 3))
}

/** What becomes of a bucket by a wish, and what it is answered. */
export function reserveIn(
  state: BucketState,
  { ms, reachMs, priority }: ReservationWish,
  now: number,
): { readonly state: BucketState; readonly answer: ReservationAnswer } {
  if (state.pausedUntil > now) return { state, answer: { waitMs: state.pausedUntil - now, why: 'paused' } }
  if (priority === 'backfill' && state.liveUntil > now) return { state, answer: { waitMs: state.liveUntil - now, why: 'live' } }
  const share = shareOf(state, now)
  const from = Math.max(state.nextAt, now - reachMs)
  const end = from + ms / share
  return {
    state: { ...state, nextAt: end, liveUntil: priority === 'live' ? Math.max(now, end) + LIVE_MARGIN_MS : state.liveUntil },
    answer: { fromMs: from - now, toMs: end - now, end, share },
  }
}

/** What becomes of a bucket when the API throttled. What had accrued was not there. */
export function slowed(state: BucketState, pauseMs: number, now: number): BucketState {
  const again = now < Math.max(state.slowedAt, state.pausedUntil) + ONE_EVENT_MS
  return {
    ...state,
    nextAt: Math.max(state.nextAt, now),
    pausedUntil: Math.max(state.pausedUntil, now + pauseMs),
    ...(again ? {} : { peak: shareOf(state, now), slowedAt: now }),
  }
}
