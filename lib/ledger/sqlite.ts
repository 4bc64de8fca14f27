import type { Ledger } from './ledger.ts'
import { ownerOf } from './owner.ts'
import { attempts } from './sqlite-attempts.ts'
import { LedgerDatabase } from './sqlite-database.ts'
import { grants } from './sqlite-grants.ts'
import { pace } from './sqlite-pace.ts'
import { reader } from './sqlite-reader.ts'
import { runs } from './sqlite-runs.ts'

/** Settings of the ledger on SQLite. */
export interface SqliteOptions {
  /** The file; created when it is not there. On a local disk, never on a network share. */
  readonly path: string
  /** The clock, epoch milliseconds. */
  readonly now?: () => number
  /** Names this process among others. */
  readonly owner?: string
}

/** What the parts of the ledger share. */
export interface SqliteContext {
  /** The file, opened when it is first needed, so that a configuration can be loaded without touching anything. */
  db(): LedgerDatabase
  now(): number
  readonly owner: string
}

/** How long a request waits for other writers of the ledger before it goes on without having asked. */
const PACE_PATIENCE_MS = 20

/** The ledger in one SQLite file, for any number of processes on one host. */
export function sqlite({ path, now = Date.now, owner = ownerOf() }: SqliteOptions): Ledger {
  let opened: LedgerDatabase | undefined
  let pacing: LedgerDatabase | undefined
  const context: SqliteContext = {
    db: () => {
      opened ??= new LedgerDatabase(path)
      return opened
    },
    now,
    owner,
  }
  return {
    ...reader(context),
    ...runs(context),
    ...attempts(context),
    ...grants(context),
    ...pace({
      db: () => {
        // Not the connection of everything else, which waits long and must be durable: how much of a limit is used up may be forgotten.
        pacing ??= new LedgerDatabase(path, { patienceMs: PACE_PATIENCE_MS, durable: false })
        return pacing
      },
      now,
    }),
    async close() {
      opened?.close()
      opened = undefined
      pacing?.close()
      pacing = undefined
    },
  }
}
