import { type BucketState, FRESH_BUCKET, type PaceLedger, reserveIn, slowed } from './pace.ts'
import type { LedgerDatabase } from './sqlite-database.ts'

/** What the sharing of rate limits needs. */
export interface SqlitePaceContext {
  /** A connection of its own, which has little patience with other writers. */
  db(): LedgerDatabase
  now(): number
}

/** Rate limits that several processes share. */
export function pace({ db, now: clock }: SqlitePaceContext): PaceLedger {
  function read(bucket: string): BucketState {
    const row = db().get('SELECT * FROM pace WHERE bucket = ?', bucket)
    if (row === undefined) return FRESH_BUCKET
    return {
      nextAt: Number(row.next_at),
      pausedUntil: Number(row.paused_until),
      liveUntil: Number(row.live_until),
      peak: Number(row.peak),
      slowedAt: Number(row.slowed_at),
    }
  }

  function write(bucket: string, { nextAt, pausedUntil, liveUntil, peak, slowedAt }: BucketState): void {
    db().insert(
      'pace',
      { bucket, next_at: nextAt, paused_until: pausedUntil, live_until: liveUntil, peak, slowed_at: slowedAt },
      ['bucket'],
    )
  }

  return {
    async pace({ throttled, returned, wishes }) {
      return db().writeUnlessBusy(() => {
        const now = clock()
        for (const { bucket, pauseMs } of throttled) write(bucket, slowed(read(bucket), pauseMs, now))
        for (const { bucket, end, ms } of returned) {
          db().run('UPDATE pace SET next_at = ? WHERE bucket = ? AND next_at = ?', end - ms, bucket, end)
        }
        return wishes.map(wish => {
          const { state, answer } = reserveIn(read(wish.bucket), wish, now)
          write(wish.bucket, state)
          return answer
        })
      })
    },
  }
}
