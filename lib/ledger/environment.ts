import type { Ledger } from './ledger.ts'
import { postgres } from './postgres.ts'
import { type SqliteOptions, sqlite } from './sqlite.ts'

/**
 * The ledger that the environment asks for: on PostgreSQL when `DATABASE_URL` is set, and in the SQLite file otherwise. So one configuration serves
 * a laptop and any number of hosts.
 */
export function ledger(options: SqliteOptions): Ledger {
  const url = process.env.DATABASE_URL
  const { path: _, ...more } = options
  return url === undefined || url === '' ? sqlite(options) : postgres({ url, ...more })
}
