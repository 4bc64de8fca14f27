import { type DestinationStream, type Logger, pino } from 'pino'
import { HeadraceError, withoutCredentials } from './errors.ts'
import { VERSION } from './version.ts'

/** A structured log: one JSON object per line, its kind in `event`. */
export type Log = Logger

/** How much is said. */
export type LogLevel = 'silent' | 'error' | 'warn' | 'info' | 'debug'

/** An error as it may be told. */
export interface SerializedError {
  readonly name?: string
  /** From the table of errors. */
  readonly code?: string
  readonly hint?: string | undefined
  /** 500 characters at most. */
  readonly message: string
  /** 4,000 characters at most. */
  readonly stack?: string
  readonly cause?: SerializedError
}

/**
 * What of an error may stand in a log: these fields and no others. Errors of HTTP clients carry requests with credentials, so an allow-list is
 * the only list that holds.
 */
export function serializeError(error: unknown): SerializedError {
  if (!(error instanceof Error)) return { message: withoutCredentials(String(error)).slice(0, 500) }
  return {
    name: error.name,
    ...(error instanceof HeadraceError ? { code: error.code, hint: error.hint } : {}),
    message: withoutCredentials(error.message).slice(0, 500),
    stack: withoutCredentials(error.stack ?? '').slice(0, 4_000),
    ...(error.cause === undefined ? {} : { cause: serializeError(error.cause) }),
  }
}

/** Opens a log of the given level; `destination` is standard error unless said otherwise. */
export function createLog(level: LogLevel, destination: DestinationStream = pino.destination({ dest: 2, sync: true })): Log {
  return pino(
    {
      level,
      base: { headrace: VERSION, pid: process.pid },
      messageKey: 'message',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
      serializers: { err: serializeError },
    },
    destination,
  )
}
