import type { AlertLedger, DueAlert } from '../alerts.ts'
import type { LedgerContext, SqlRow } from './database.ts'

/** What somebody was told of. A row is there from the first sight of an alert until its end was told. */
export function alerts({ db }: LedgerContext): AlertLedger {
  return {
    takeAlerts: (alerts, { complete, againMs, claimMs }) =>
      db.write(async tx => {
        const known = new Map((await tx.all('SELECT * FROM alert')).map(row => [String(row.id), row]))
        const now = new Map(alerts.map(alert => [alert.id, alert]))
        const due: DueAlert[] = []
        const take = async (id: string, content: string, row: SqlRow | undefined, state: DueAlert['state']): Promise<void> => {
          const ended = state === 'over' ? 1 : 0
          const toldAt = row === undefined || row.told_at === null ? null : Number(row.told_at)
          const isDue =
            (toldAt === null || ended === 1 || toldAt <= tx.now - againMs) && Number(row?.claimed_until ?? 0) <= tx.now
          const claimedUntil = isDue ? tx.now + claimMs : Number(row?.claimed_until ?? 0)
          await tx.insert('alert', [{ id, content, told_at: toldAt, ended, claimed_until: claimedUntil }], ['id'])
          if (isDue) due.push({ id, content, state })
        }
        for (const { id, content } of now.values()) {
          const row = known.get(id)
          await take(id, content, row, row === undefined || row.told_at === null ? 'new' : 'lasting')
        }
        for (const [id, row] of known) {
          if (now.has(id) || (!complete && Number(row.ended) === 0)) continue
          // Nobody was told that it began: nobody has to be told that it is over.
          if (row.told_at === null) await tx.run('DELETE FROM alert WHERE id = ?', id)
          else await take(id, String(row.content), row, 'over')
        }
        return due
      }),

    alertsTold: told =>
      db.write(async tx => {
        for (const { id, state } of told) {
          if (state === 'over') await tx.run('DELETE FROM alert WHERE id = ? AND ended = 1', id)
          else await tx.update('alert', { told_at: tx.now, claimed_until: 0 }, { id })
        }
      }),
  }
}
