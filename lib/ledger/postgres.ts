import { ConfigError } from '../errors.ts'
import type { Ledger } from './ledger.ts'
import { ownerOf } from './owner.ts'
import { PostgresDatabase } from './postgres-database.ts'
import { homes } from './sql/homes.ts'
import { sqlLedger } from './sql/ledger.ts'

/** Settings of the ledger on PostgreSQL. */
export interface PostgresOptions {
  /** `postgres://user:password@host:port/database`, with `?sslmode=…` and the like as in libpq. */
  readonly url: string
  /** The schema that holds the ledger; made when it is not there. Default `headrace`. */
  readonly schema?: string
  /** The clock, epoch milliseconds. Default that of the database, so that hosts need not agree about the time. */
  readonly now?: () => number
  /** Names this process among others. */
  readonly owner?: string
}

/** How long what must be written waits for other writers, for an answer, and for a server that is away. */
const LEDGER = { lock: 'ledger', lockMs: 20_000, connectMs: 5_000, statementMs: 30_000, patienceMs: 60_000, durable: true }

/** How long a request waits before it goes on without having asked: longer than for SQLite, because nothing else in the process waits with it. */
const PACE = { lock: 'pace', lockMs: 100, connectMs: 1_000, statementMs: 1_000, patienceMs: 0, durable: false }

/** The ledger in a schema of PostgreSQL, 11 or later, for any number of processes on any number of hosts. */
export function postgres({ url, schema = 'headrace', now, owner = ownerOf() }: PostgresOptions): Ledger {
  const database = { url, name: nameOf(url), schema: checked(schema), now }
  const db = new PostgresDatabase({ ...database, ...LEDGER })
  const pacing = new PostgresDatabase({ ...database, ...PACE })
  return { ...sqlLedger({ db, pacing, owner }), ...homes({ db, owner }) }
}

/** The address without what nobody should read. */
function nameOf(url: string): string {
  const { protocol, host, pathname } = (URL.canParse(url) ? new URL(url) : undefined) ?? {}
  // An @ in the path is what a password with a slash looks like.
  if (/^postgres(?:ql)?:$/.test(protocol ?? '') && !pathname?.includes('@')) return `${protocol}//${host}${pathname}`
  throw new ConfigError('CONFIG_INVALID', {
    message: 'the address of the ledger is not one of PostgreSQL: postgres://user:password@host:port/database',
    hint: 'Correct DATABASE_URL or `url`; a password that holds / ? # or @ has to be percent-encoded. Nothing was read or written.',
  })
}

function checked(schema: string): string {
  if (/^[a-z_][a-z0-9_]{0,62}$/.test(schema)) return schema
  throw new ConfigError('CONFIG_INVALID', {
    message: `the schema ${JSON.stringify(schema)} of the ledger is not a name of lower-case letters, digits and _`,
    hint: 'Correct the configuration. Nothing was read or written.',
  })
}
