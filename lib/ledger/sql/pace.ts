import {
  type BucketState,
  FRESH_BUCKET,
  type PaceLedger,
  type ReservationAnswer,
  type ReservationAnswers,
  reserve,
  slowed,
} from '../pace.ts'
import type { LedgerDatabase, Transaction } from './database.ts'

/** Rate limits that several processes share; on a database of their own, which has little patience with other writers. */
export function pace(db: LedgerDatabase): PaceLedger {
  async function read(tx: Transaction, bucket: string): Promise<BucketState> {
    const row = await tx.get('SELECT * FROM pace WHERE bucket = ?', bucket)
    if (row === undefined) return FRESH_BUCKET
    return {
      nextAt: Number(row.next_at),
      pausedUntil: Number(row.paused_until),
      liveUntil: Number(row.live_until),
      peak: Number(row.peak),
      slowedAt: Number(row.slowed_at),
    }
  }

  function write(tx: Transaction, bucket: string, state: BucketState): Promise<void> {
    const { nextAt, pausedUntil, liveUntil, peak, slowedAt } = state
    const row = { bucket, next_at: nextAt, paused_until: pausedUntil, live_until: liveUntil, peak, slowed_at: slowedAt }
    return tx.insert('pace', [row], ['bucket'])
  }

  return {
    async pace({ throttled, returned, reservations }) {
      let age = (): number => 0
      const answers = await db.writeUnlessBusy(async tx => {
        age = () => tx.age()
        for (const { bucket, pauseMs } of throttled) await write(tx, bucket, slowed(await read(tx, bucket), pauseMs, tx.now))
        for (const { bucket, end, ms } of returned) {
          await tx.run('UPDATE pace SET next_at = ? WHERE bucket = ? AND next_at = ?', end - ms, bucket, end)
        }
        const reserved: ReservationAnswers[] = []
        for (const reservation of reservations) {
          const states = new Map<string, BucketState>()
          for (const { bucket } of reservation.scopes.flat()) states.set(bucket, await read(tx, bucket))
          const { answers, changed } = reserve(reservation, states, tx.now)
          for (const [bucket, state] of changed) await write(tx, bucket, state)
          reserved.push(answers)
        }
        return reserved
      })
      if (answers === 'busy') return answers
      return answers.map(scopes => scopes.map(scope => scope.map(answer => later(answer, age()))))
    },
  }
}

/** What an answer says some milliseconds later: where the way to the database is long, processes would else be late by different times, and meet. */
function later(answer: ReservationAnswer, ms: number): ReservationAnswer {
  if (answer === undefined) return answer
  if ('waitMs' in answer) return { ...answer, waitMs: Math.max(0, answer.waitMs - ms) }
  return { ...answer, fromMs: answer.fromMs - ms, toMs: answer.toMs - ms }
}
