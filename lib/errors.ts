/**
 * Every error headrace can raise, in one table. The class says what happens next:
 * `config` stops before anything is read, `transient` is worth another try, `data` waits for a person.
 * `docs/errors.md` lists the same codes; a test compares the two.
 */
export const ERRORS = {
  USAGE: { kind: 'config', means: 'The command line, or a request to the server, does not make sense.' },
  CONFIG_NOT_FOUND: { kind: 'config', means: 'The configuration file is not there.' },
  CONFIG_FAILED: { kind: 'config', means: 'The configuration file threw while it was loaded.' },
  CONFIG_INVALID: { kind: 'config', means: 'The configuration loads, but something in it cannot work.' },
  CLIENTS_UNAVAILABLE: { kind: 'config', means: 'The list of clients could not be obtained, or names nobody.' },
  TABLE_INVALID: { kind: 'config', means: 'A table declaration contradicts itself.' },
  TABLE_MISMATCH: { kind: 'config', means: 'The table in the warehouse differs from its declaration.' },
  PIPELINE_INVALID: { kind: 'config', means: 'A pipeline declaration contradicts itself.' },
  WAREHOUSE_UNUSABLE: {
    kind: 'config',
    means: 'The warehouse cannot be opened at all: wrong path, no permission, not a database.',
  },
  WAREHOUSE_ELSEWHERE: {
    kind: 'config',
    means: 'The pipeline is published into a file of another host, which this one does not have.',
  },
  LEDGER_UNUSABLE: { kind: 'config', means: 'The ledger cannot be opened, or was written by a newer headrace.' },
  PORT_IN_USE: { kind: 'config', means: 'The server cannot listen: its port is taken, or its address is none of this host.' },
  UNAUTHORIZED: { kind: 'config', means: 'A request to the server came without its token, or with another one.' },
  API_REFUSED: {
    kind: 'config',
    means: 'The API refused the request itself (4xx): credentials, permission, or a wrong parameter.',
  },
  GRANT_KEY_INVALID: { kind: 'config', means: 'The key that encrypts the tokens in the ledger is not set, or is none.' },
  GRANT_MISSING: { kind: 'config', means: 'Nobody has consented yet: the ledger holds no grant of that name.' },
  GRANT_UNREADABLE: { kind: 'config', means: 'The tokens in the ledger cannot be decrypted for this grant.' },
  GRANT_REFUSED: { kind: 'config', means: 'The provider no longer accepts a grant; somebody has to consent again.' },
  OAUTH_CLIENT_REFUSED: {
    kind: 'config',
    means: 'The token server refuses the application itself: its id, secret, key or scope.',
  },
  CONSENT_FAILED: { kind: 'config', means: 'A consent came to nothing: denied, too late, or without a refresh token.' },

  API_UNREACHABLE: { kind: 'transient', means: 'No answer from the API: connection refused, reset, or a deadline passed.' },
  API_FAILED: { kind: 'transient', means: 'The API answered with a server error, and kept doing so.' },
  API_THROTTLED: {
    kind: 'transient',
    means:
      'The API asked to wait longer than a slot is worth, and the chunk is parked; or it kept asking until the tries ran out.',
  },
  API_BODY_BROKEN: {
    kind: 'transient',
    means: 'The answer is not JSON, or not encoded as it says: truncated on the way, or something else than the API.',
  },
  API_RETRIES_SPENT: {
    kind: 'transient',
    means: 'So many requests to the API failed that this one is not tried again.',
  },
  WINDOW_TOO_LARGE: {
    kind: 'transient',
    means: 'The window is more than the API gives at once: it says so, or its answers take too long or break off.',
  },
  TOKEN_UNAVAILABLE: { kind: 'transient', means: 'The token server gave no token this time; the grant is still good.' },
  GRANT_NOT_STORED: { kind: 'transient', means: 'New tokens could not be stored, and are therefore not used.' },
  PAGE_TOKEN_EXPIRED: {
    kind: 'transient',
    means: 'The API no longer knows the page token; the chunk is read again from its first page.',
  },
  PAGE_TOTAL_CHANGED: { kind: 'transient', means: 'The number of records changed between two pages; the chunk is read again.' },
  REPORT_FAILED: { kind: 'transient', means: 'The API says that it could not make the report.' },
  REPORT_EXPIRED: { kind: 'transient', means: 'A report, or the address of its file, is not valid any more.' },
  REPORT_LATE: { kind: 'transient', means: 'A report is not ready at its deadline, and neither was the one before it.' },
  WAREHOUSE_BUSY: { kind: 'transient', means: 'Another process held the warehouse for longer than headrace waits.' },
  WAREHOUSE_FAILED: {
    kind: 'transient',
    means: 'The warehouse failed while staging or committing; nothing of the chunk was published.',
  },
  SCHEMA_UNSETTLED: {
    kind: 'transient',
    means: 'Fields that are read came differently than before, and the pipeline says `fail`: tried again, then failed.',
  },
  SERVER_BUSY: { kind: 'transient', means: 'So many requests wait for the server that it takes no other one.' },
  DISK_FULL: { kind: 'transient', means: 'No space left for staging, the warehouse or the ledger.' },
  UPSTREAM_UNPUBLISHED: {
    kind: 'transient',
    means: 'A pipeline that comes before will not publish the days of the chunk by itself, and the chunk is not to wait for it.',
  },
  LEDGER_FAILED: { kind: 'transient', means: 'The ledger could not be written; the chunk stops where it was.' },
  LEASE_LOST: { kind: 'transient', means: 'Another process took the chunk over while this one was stalled.' },
  FENCED: { kind: 'transient', means: 'A newer attempt has already published these days; this one may not overwrite them.' },
  ABORTED: { kind: 'transient', means: 'The chunk was stopped by a signal before it was published.' },
  INTERNAL: { kind: 'transient', means: 'An error headrace did not foresee. The chunk is not published; please report it.' },

  PAGE_MALFORMED: { kind: 'data', means: 'A page is not what the API promised: the records are not where they should be.' },
  PAGE_CURSOR_REPEATED: { kind: 'data', means: 'The API sent a page cursor it had sent before; following it would never end.' },
  PAGE_REPEATED: { kind: 'data', means: 'The API sent a page that it had sent before, in place of the next one.' },
  PAGES_ENDLESS: { kind: 'data', means: 'More pages than the connector allows for one chunk.' },
  REPORT_MALFORMED: {
    kind: 'data',
    means: 'An answer about a report is not what was declared: no id, an unknown state, no file.',
  },
  BODY_TOO_LARGE: { kind: 'data', means: 'One answer is larger than headrace is willing to hold in memory.' },
  CHUNK_UNBALANCED: { kind: 'data', means: 'extracted = staged + rejected + deduplicated does not hold.' },
  COUNT_DIVERGED: {
    kind: 'data',
    means: 'Inside the commit the table did not hold what was staged; everything was rolled back.',
  },
  RECONCILE_DIVERGED: { kind: 'data', means: 'After the commit the table does not hold what was committed.' },
  SCHEMA_DRIFTED: { kind: 'data', means: 'Fields that are read came differently than before, and the pipeline says `hold`.' },
  REJECTS_TOO_MANY: { kind: 'data', means: 'More rows were rejected than the pipeline allows.' },
  VOLUME_DROP: { kind: 'data', means: 'Far fewer rows than the last time these days were published.' },
  SOURCE_DIVERGED: {
    kind: 'data',
    means: 'What was read does not add up to the totals that the source itself states, in two reads.',
  },
  EMPTY_CHUNK: { kind: 'data', means: 'No rows where there were rows before, in two reads.' },
  KEY_DUPLICATED: { kind: 'data', means: 'The key of the table is not unique among the staged rows.' },
  STAGED_UNREADABLE: { kind: 'data', means: 'The warehouse refuses what was staged, and not for a few single rows.' },
  WAREHOUSE_CEILING: {
    kind: 'data',
    means: 'The commit would cost more than the ceiling allows, or more than the warehouse can do at once.',
  },
} as const satisfies Record<string, { kind: ErrorKind; means: string }>

/** What happens next: stop at start, try again, or wait for a person. */
export type ErrorKind = 'config' | 'transient' | 'data'

/** A stable name for each thing that can go wrong; documented in `docs/errors.md`. */
export type ErrorCode = keyof typeof ERRORS

type CodeOf<K extends ErrorKind> = { [C in ErrorCode]: (typeof ERRORS)[C]['kind'] extends K ? C : never }[ErrorCode]

/** The parts of an error that are not its code. */
export interface ErrorDetails {
  /** What happened, with numbers. */
  message: string
  /** What is safe, and what to do next. */
  hint?: string
  /** The error underneath, if there is one. */
  cause?: unknown
  /** Not before this instant (epoch milliseconds) is another try worth it. */
  notBefore?: number
}

/** Base of all errors that headrace raises on purpose. */
export class HeadraceError extends Error {
  override readonly name: string = 'HeadraceError'
  readonly code: ErrorCode
  readonly hint: string | undefined
  /** Epoch milliseconds before which another try is pointless. */
  readonly notBefore: number | undefined

  constructor(code: ErrorCode, details: ErrorDetails) {
    super(details.message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.hint = details.hint
    this.notBefore = details.notBefore
  }

  /** What happens next. */
  get kind(): ErrorKind {
    return ERRORS[this.code].kind
  }
}

/** Something a person must change before headrace can start; nothing was read or written. */
export class ConfigError extends HeadraceError {
  override readonly name = 'ConfigError'
  constructor(code: CodeOf<'config'>, details: ErrorDetails) {
    super(code, details)
  }
}

/** The same chunk may well succeed when tried again. */
export class TransientError extends HeadraceError {
  override readonly name = 'TransientError'
  constructor(code: CodeOf<'transient'>, details: ErrorDetails) {
    super(code, details)
  }
}

/** Trying again will not help: the chunk is held, with its evidence, for a person. */
export class DataError extends HeadraceError {
  override readonly name = 'DataError'
  constructor(code: CodeOf<'data'>, details: ErrorDetails) {
    super(code, details)
  }
}

/** Any thrown value as a `HeadraceError`; what headrace did not foresee becomes `INTERNAL`. */
export function asHeadraceError(error: unknown): HeadraceError {
  if (error instanceof HeadraceError) return error
  if (error instanceof Error && error.name === 'AbortError') {
    return error.cause instanceof HeadraceError
      ? error.cause
      : new TransientError('ABORTED', { message: 'stopped before it was published', cause: error })
  }
  return new TransientError('INTERNAL', {
    message: withoutCredentials(error instanceof Error ? `${error.name}: ${error.message}` : String(error)),
    hint: 'Nothing of this chunk was published. Run again; if it stays, report it with the stack from the log.',
    cause: error,
  })
}

/**
 * Text of somebody else's code without what may be a credential: the queries and user names of addresses in it, of whatever protocol, and what stands
 * behind the name of an authorization scheme.
 */
export function withoutCredentials(text: string): string {
  return text
    .replace(/(\b[a-z][a-z0-9+.-]{0,15}:\/\/)[^\s/?#"'<>]*@/gi, '$1…@')
    .replace(/(\b[a-z][a-z0-9+.-]{0,15}:\/\/[^\s?#"'<>]+)[?#][^\s"'<>]*/gi, '$1?…')
    .replace(/\b(Bearer|Basic)\s+[\w.~+/=-]+/gi, '$1 …')
}

/** Whether an operating system error says that the disk (or a quota) is full. */
export function isDiskFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = 'code' in error ? error.code : undefined
  return code === 'ENOSPC' || code === 'EDQUOT' || /no space left|disk is full|disk quota exceeded/i.test(error.message)
}

/**
 * The rules a row can break, in one table. A reject names one of them.
 * `docs/errors.md` lists the same rules; a test compares the two.
 */
export const RULES = {
  record: 'The record is not an object.',
  required: 'The field is absent or null, and its column is required.',
  type: 'The value is of another type than the column, or cannot be read as it.',
  precision: 'The number has more digits than a JSON number carries; it may already have lost some.',
  range: 'The value does not fit the type of the column at all.',
  custom: 'The custom expression of the column threw.',
  minimum: 'The value is below the declared minimum.',
  maximum: 'The value is above the declared maximum.',
  enum: 'The value is none of those declared.',
  maxLength: 'The text is longer than declared.',
  pattern: 'The text does not match the declared pattern.',
  schema: 'The row breaks the JSON Schema of its table in another way.',
  window: 'The day is outside the window of the chunk.',
  client: 'The record belongs to another client.',
  key: 'Another row of the chunk has the same key and other values.',
  warehouse: 'The warehouse does not take the row.',
} as const

/** Name of a rule a row can break. */
export type Rule = keyof typeof RULES

/**
 * Things a person should know although the work goes on, in one table.
 * `docs/errors.md` lists the same names; a test compares the two.
 */
export const WARNINGS = {
  PAGE_FULL_WITHOUT_NEXT: 'The last page is exactly full and names no next one: the API may have cut the list short.',
  RESULT_CUT: 'The API shows no more than so many records of one request; what lies beyond is not in the table.',
  FIELD_ADDED: 'Records carry a field that was never seen before and that no column reads.',
  FIELD_MISSING: 'A field that a column reads is absent in all records, or in far more of them than before.',
  FIELD_TYPE_CHANGED: 'A field that a column reads has a type that it never had before.',
  VALUE_ADDED: 'A column with declared values got one that is not declared; its rows are rejected.',
  GRANT_EXPIRING: 'A refresh token ends within a week, and with it the access to an account.',
  CHUNK_EMPTY: 'A chunk was published with no rows at all.',
  ROWS_REJECTED: 'Rows were refused by a rule; they are kept with the reason.',
  ROWS_DEDUPLICATED: 'The API sent the same row more than once within a chunk; it was kept once.',
  SOURCE_DIFFERS: 'A chunk is published, by its policy or by force, that does not add up to what the source states.',
  TABLE_DIVERGED: 'The table does not hold what the ledger says was published; the days are written again.',
  RESTATED: 'A published day has other numbers now than when it was last read.',
  PARTITION_FILTER_MISSING: 'A query may read every day of the table, which the warehouse charges in full.',
  WINDOW_HALVED: 'A window was more than the API gives at once; it is read again in two halves.',
  CLIENTS_OUTDATED: 'The list of clients could not be had; a daemon goes on with the one it had before.',
  PIPELINE_UNKNOWN: 'Chunks wait that belong to a pipeline this daemon does not know.',
  PUSH_FAILED: 'A Pushgateway does not take the metrics of a backfill, which goes on without.',
  LINEAGE_LOST: 'The receiver of lineage does not take its events, and some are dropped; the data is not concerned.',
  WAREHOUSE_WAITING: 'Another process holds the warehouse; headrace waits for its turn.',
} as const

/** Name of a warning. */
export type WarningName = keyof typeof WARNINGS
