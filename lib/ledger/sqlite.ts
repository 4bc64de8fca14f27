import type { Ledger } from './ledger.ts'
import { ownerOf } from './owner.ts'
import { sqlLedger } from './sql/ledger.ts'
import { SqliteDatabase } from './sqlite-database.ts'

/** Settings of the ledger on SQLite. */
export interface SqliteOptions {
  /** The file; created when it is not there. On a local disk, never on a network share. */
  readonly path: string
  /** The clock, epoch milliseconds. */
  readonly now?: () => number
  /** Names this process among others. */
  readonly owner?: string
}

/** How long a request waits for other writers of the ledger before it goes on without having asked. */
const PACE_PATIENCE_MS = 100

/** The ledger in one SQLite file, for any number of processes on one host. */
export function sqlite({ path, now = Date.now, owner = ownerOf() }: SqliteOptions): Ledger {
  return sqlLedger({
    db: new SqliteDatabase({ path, now }),
    pacing: new SqliteDatabase({ path, now, patienceMs: PACE_PATIENCE_MS, durable: false }),
    owner,
  })
}
