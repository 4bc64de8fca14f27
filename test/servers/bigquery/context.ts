import type { Catalogue } from './catalogue.ts'
import type { Claims } from './claims.ts'
import type { Clock } from './clock.ts'
import type { Duck } from './duck.ts'
import type { Faults } from './faults.ts'
import type { Jobs } from './jobs.ts'
import type { Json } from './json.ts'

/** Limits and doubtful points of the service; each is off unless a test asks for it. */
export interface Switches {
  /** DML statements per table in 10 s; the service allows 25. */
  dmlPer10Seconds: number
  /** Loads per table and day; the service allows 1,500. */
  loadsPerDay: number
  /** Whether an insertId seen in the last minute is dropped. The service does so by best effort only. */
  dedupe: boolean
  /** Streamed rows are acknowledged and lost this long after a table was created, in milliseconds. */
  freshTableLosesRowsMs: number
  /** Whether a statement that could change rows and found none claims its table for the transaction. Not known of the service. */
  emptyMutationClaims: boolean
  /** The most rows one page of results or of table data has. */
  pageRows: number
  /** Says why a row is refused that fits its table, for what nobody here can foresee. */
  refuses: (row: Json) => string | undefined
  /** How long `getQueryResults` waits for a job unless the request says otherwise, in milliseconds. */
  longPollMs: number
}

/** A statement of a query job that is about to run. */
export interface StatementEvent {
  readonly jobId: string
  /** For example `DELETE` or `COMMIT_TRANSACTION`. */
  readonly type: string
  /** Its text. */
  readonly sql: string
}

/** What the parts of the server share. */
export interface Context {
  readonly project: string
  readonly location: string
  readonly duck: Duck
  readonly catalogue: Catalogue
  readonly claims: Claims
  readonly clock: Clock
  readonly faults: Faults
  readonly jobs: Jobs
  readonly switches: Switches
  /** Where uploads wait; gone with the server. */
  readonly folder: string
  readonly onStatement: ((event: StatementEvent) => void | Promise<void>) | undefined
}
