/**
 * How several processes keep one rate limit. Each bucket has a schedule: a line of time on which every request takes up as much as its cost
 * at the rate of the bucket. Processes reserve stretches of that line, one after the other, and spend each within itself, without asking again.
 * Stretches never overlap, so all processes together keep the limit; who dies leaves at most his last stretch unused.
 */
export interface PaceLedger {
  /**
   * Tells what happened to some buckets and makes reservations, all in one short transaction, in the order of the report. Answers every wish of every
   * reservation, or `busy` instead of waiting for other writers: then nothing of the report has counted, and whoever asked goes on alone for a
   * moment. Rejects with an error of headrace when the ledger cannot be used at all.
   */
  pace(report: PaceReport): Promise<readonly ReservationAnswers[] | 'busy'>
}

/** What one process has to say about buckets, and wants of them. */
export interface PaceReport {
  /** The API throttled: nothing is given for so many milliseconds, and less afterwards. */
  readonly throttled: readonly { readonly bucket: string; readonly pauseMs: number }[]
  /** The last `ms` of stretches that end at `end` will not be used; whoever comes next gets them, unless somebody has come already. */
  readonly returned: readonly ({ readonly bucket: string } & Remainder)[]
  readonly reservations: readonly Reservation[]
}

/** The last `ms` of a stretch that ends at `end`, as the ledger counts. */
export interface Remainder {
  readonly end: number
  readonly ms: number
}

/** Who goes first on one budget: live work, then backfills. */
export type Priority = 'live' | 'backfill'

/** What one request needs of all the limits that have to allow it, to go at one moment. */
export interface Reservation {
  /** How long something that is not in the ledger holds it up, in milliseconds. */
  readonly afterMs: number
  /** The buckets of every scope, the narrowest scope first. */
  readonly scopes: readonly (readonly ReservationWish[])[]
}

/** A stretch of a schedule that is wanted. */
export interface ReservationWish {
  readonly bucket: string
  /** What the request costs, and how much to reserve for it and those behind it, at least as much. */
  readonly cost: number
  readonly total: number
  /** What the bucket holds: so much of what has accrued may be used at once. */
  readonly depth: number
  /** How long a cost of 1 takes at the declared rate, and at least, in milliseconds. */
  readonly intervalMs: number
  readonly spacedMs: number
  /** While live work wants more, backfills get nothing. */
  readonly priority: Priority
  /** When the request may go by what is reserved already, in milliseconds from now; undefined when that is not enough. */
  readonly held: { readonly fromMs: number; readonly untilMs: number } | undefined
  /** What is given back before anything is reserved anew. */
  readonly unused: Remainder | undefined
}

/** For every wish, in order. */
export type ReservationAnswers = readonly (readonly ReservationAnswer[])[]

/** A reserved stretch; how many milliseconds to wait before asking again, and why; or nothing, where there is enough, or where it is too early. */
export type ReservationAnswer =
  | {
      /** Where it begins and ends, in milliseconds from now. */
      readonly fromMs: number
      readonly toMs: number
      /** Its end as the ledger counts; names it when it is given back. */
      readonly end: number
      /** The share of the declared rate that the API is believed to allow now, above 0 and at most 1. */
      readonly share: number
      /** Whether what was unused has been taken back. */
      readonly returned: boolean
    }
  | { readonly waitMs: number; readonly why: 'paused' | 'live' }
  | undefined

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

/** How late a request may be for its place in a schedule, in milliseconds, at least: timers and a busy event loop are. */
export const LATE_MS = 25

/** How long what is held has to last beyond the moment at which it is wanted. */
const HELD_MS = 5

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

/** A wish, and what its bucket has for it. */
interface Place {
  readonly wish: ReservationWish
  readonly state: BucketState
  readonly share: number
  /** What a cost of 1 takes up, in milliseconds. */
  readonly interval: number
  /** Whether what is unused is given back. */
  readonly returned: boolean
  /** Where a stretch may begin, and when the request might go with it. */
  readonly from: number
  readonly ready: number
}

/**
 * Reserves for one request: what it is answered, and what becomes of the buckets that have changed. All its stretches are placed so that it may go at one
 * moment: were each as early as its bucket allows, the one would lapse while the process waits for the other, and when all do so nobody ever goes.
 * A wider scope is not reserved for a moment that only a narrower one makes so late, or others would wait in vain until then. The narrower one
 * then lasts longer, for as long as the wider may make it wait: twice what that would be now, so that a few tries are enough however long it is.
 */
export function reserve(
  { afterMs, scopes }: Reservation,
  states: ReadonlyMap<string, BucketState>,
  now: number,
): { readonly answers: ReservationAnswers; readonly changed: ReadonlyMap<string, BucketState> } {
  const places = scopes.map(wishes => wishes.map(wish => placeIn(states.get(wish.bucket) ?? FRESH_BUCKET, wish, now)))
  const anew = placedAnew(places.flat(), now + afterMs, now)
  const readyAt = (some: readonly (readonly Place[])[]): number =>
    Math.max(now, ...some.flat().map(place => (anew.has(place) ? place.ready : now + (place.wish.held?.fromMs ?? 0))))
  const early = places.findIndex((scope, index) => readyAt(places.slice(0, index)) > readyAt([scope]) + LATE_MS)
  const [sooner, later] = early < 0 ? [places, []] : [places.slice(0, early), places.slice(early)]
  const wait = readyAt(later) - now
  const longer = wait > 0 ? 2 * (wait + LATE_MS) : 0
  const at = Math.max(now + afterMs, readyAt(sooner))

  const wanted = new Set(sooner.flat().filter(place => anew.has(place)))
  const refusals = places.map(scope => scope.map(place => refusal(place, wanted.has(place), now)))
  if (refusals.flat().some(one => one !== undefined)) return { answers: refusals, changed: new Map() }
  const changed = new Map<string, BucketState>()
  const answers = places.map(scope =>
    scope.map(place => {
      if (!wanted.has(place)) return undefined
      const { wish, state, share, interval, returned } = place
      const { bucket, cost, total, depth, priority } = wish
      // What is to last until a later moment begins later, and may then be used a little late.
      const from = at > now ? Math.max(place.from, at - Math.max(cost * interval, depth * interval - LATE_MS)) : place.from
      const end = from + total * interval + longer
      const liveUntil = priority === 'live' ? Math.max(now, end) + LIVE_MARGIN_MS : state.liveUntil
      changed.set(bucket, { ...state, nextAt: end, liveUntil })
      return { fromMs: from - now, toMs: end - now, end, share, returned }
    }),
  )
  return { answers, changed }
}

/** What has to be reserved: what there is not enough of, and what will have lapsed when there is enough of the rest. */
function placedAnew(places: readonly Place[], after: number, now: number): ReadonlySet<Place> {
  const anew = new Set(places.filter(({ wish }) => wish.held === undefined))
  for (;;) {
    const at = Math.max(after, ...places.map(place => (anew.has(place) ? place.ready : now + (place.wish.held?.fromMs ?? 0))))
    const lapsing = places.filter(
      place => !anew.has(place) && now + (place.wish.held?.untilMs ?? 0) < (at > now ? at + HELD_MS : now),
    )
    if (lapsing.length === 0) return anew
    for (const place of lapsing) anew.add(place)
  }
}

function placeIn(state: BucketState, wish: ReservationWish, now: number): Place {
  const { unused, cost, depth, intervalMs, spacedMs } = wish
  const share = shareOf(state, now)
  const interval = Math.max(intervalMs / share, spacedMs)
  const returned = unused !== undefined && unused.end === state.nextAt
  const from = Math.max(returned ? unused.end - unused.ms : state.nextAt, now - depth * interval)
  return { wish, state, share, interval, returned, from, ready: from + cost * interval }
}

function refusal(
  { wish: { priority }, state: { pausedUntil, liveUntil } }: Place,
  wanted: boolean,
  now: number,
): ReservationAnswer {
  if (pausedUntil > now) return { waitMs: pausedUntil - now, why: 'paused' }
  if (wanted && priority === 'backfill' && liveUntil > now) return { waitMs: liveUntil - now, why: 'live' }
  return undefined
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
