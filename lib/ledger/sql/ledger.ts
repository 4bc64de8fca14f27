import type { Ledger } from '../ledger.ts'
import { alerts } from './alerts.ts'
import { attempts } from './attempts.ts'
import type { LedgerDatabase } from './database.ts'
import { grants } from './grants.ts'
import { lists } from './lists.ts'
import { overview } from './overview.ts'
import { pace } from './pace.ts'
import { publishing } from './publishing.ts'
import { reader } from './reader.ts'
import { runs } from './runs.ts'
import { work } from './work.ts'

/** The databases of one ledger, and who uses them. */
export interface SqlLedgerOptions {
  readonly db: LedgerDatabase
  /**
   * The same once more, for limits that processes share. Not the connection of everything else, which waits long and must be durable: how
   * much of a limit is used up may be forgotten.
   */
  readonly pacing: LedgerDatabase
  /** Names this process among others. */
  readonly owner: string
}

/** The contract of a ledger, in SQL. */
export function sqlLedger({ db, pacing, owner }: SqlLedgerOptions): Ledger {
  const context = { db, owner }
  return {
    ...reader(context),
    ...overview(context),
    ...lists(context),
    ...work(context),
    ...runs(context),
    ...attempts(context),
    ...publishing(context),
    ...grants(context),
    ...alerts(context),
    ...pace(pacing),
    async close() {
      await db.close()
      await pacing.close()
    },
  }
}
