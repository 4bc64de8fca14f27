import { ConfigError, DataError, HeadraceError, isDiskFull, TransientError, withoutCredentials } from '../../errors.ts'
import { GroupRefused } from '../warehouse.ts'

/** What is known of a failure. */
interface ServiceFailure {
  readonly message: string
  /** The HTTP status; absent when there was no answer, and for jobs that failed. */
  readonly status?: number | undefined
  /** BigQuery's own word for it. */
  readonly reason?: string | undefined
  readonly cause?: unknown
}

/** Reasons that pass: the same again has a chance. */
const PASSING: ReadonlySet<string> = new Set([
  'backendError',
  'internalError',
  'jobBackendError',
  'jobInternalError',
  'rateLimitExceeded',
  'jobRateLimitExceeded',
  'tableUnavailable',
  'timeout',
])

/** Messages that pass, whatever their reason is. */
const PASSING_TEXT =
  /aborted due to concurrent update|could not serialize access|too many DML statements outstanding|too many (partitioned )?table update operations/i

/** A request that was not answered with success, or a job that failed. */
export class ServiceError extends Error {
  override readonly name = 'ServiceError'
  readonly status: number | undefined
  readonly reason: string | undefined

  constructor({ message, status, reason, cause }: ServiceFailure) {
    super(withoutCredentials(message).slice(0, 2_000), cause === undefined ? undefined : { cause })
    this.status = status
    this.reason = reason
  }

  /** Whatever the client threw. */
  static from(error: unknown): ServiceError {
    if (error instanceof ServiceError) return error
    const status = error instanceof Error && 'code' in error && typeof error.code === 'number' ? error.code : undefined
    const listed = error instanceof Error && 'errors' in error ? firstOf(error.errors) : {}
    return new ServiceError({
      message: listed.message ?? (error instanceof Error ? error.message || error.name : String(error)),
      status,
      reason: listed.reason,
      cause: error,
    })
  }

  /** Nobody knows whether it happened: no answer, a cut answer, or one that came from something in between. */
  get unknown(): boolean {
    return this.status === undefined ? this.reason === undefined : this.status >= 500 || this.status === 408
  }

  /** The same again may succeed. */
  get mayPass(): boolean {
    if (PASSING_TEXT.test(this.message)) return true
    if (this.reason !== undefined && PASSING.has(this.reason)) return true
    return (this.unknown && !isConfiguration(this)) || this.status === 429
  }

  /** The job id is taken. */
  get duplicate(): boolean {
    return this.status === 409
  }

  /** It is not there; also what BigQuery says of things in another location. */
  get missing(): boolean {
    return this.status === 404 || this.reason === 'notFound'
  }
}

function firstOf(errors: unknown): { message?: string; reason?: string } {
  const first: unknown = Array.isArray(errors) ? errors[0] : undefined
  if (typeof first !== 'object' || first === null) return {}
  return {
    ...('message' in first && typeof first.message === 'string' ? { message: first.message } : {}),
    ...('reason' in first && typeof first.reason === 'string' ? { reason: first.reason } : {}),
  }
}

/** What each mistake in the set-up looks like, and what to do about it. */
const CONFIGURATION: readonly (readonly [pattern: RegExp, hint: string])[] = [
  [
    /could not load the default credentials/i,
    'Name a key file with keyFile, run `gcloud auth application-default login`, or run where a service account is attached.',
  ],
  [/unable to detect a project id/i, 'Name the project with the option project, or in the variable GOOGLE_CLOUD_PROJECT.'],
  [/keyFile|DECODER routines|\bPEM\b/, 'Check that keyFile can be read and is the JSON key of a service account.'],
  [
    /invalid_grant|invalid_rapt|reauth|token has been expired or revoked|invalid_client/i,
    'The credentials have expired or were revoked: log in again, or replace the key. A clock that is wrong by minutes has the same effect.',
  ],
  [
    /getAccessToken|unable to impersonate/i,
    'Grant the credentials the role Service Account Token Creator on the account to impersonate, and check its address.',
  ],
  [
    /has not been used in project|it is disabled|accessNotConfigured|SERVICE_DISABLED/i,
    'Enable the BigQuery API in that project, wait some minutes and run again.',
  ],
  [/billing/i, 'Enable billing for the project: what headrace does needs it.'],
  [/bigquery\.jobs\.create/, 'Grant the role BigQuery Job User on the project.'],
  [/not found: project/i, 'Check the option project.'],
  [/not found: dataset/i, 'Check the name of the dataset and the option location: a dataset in another location is not found.'],
]

/** Whether it is a mistake in the set-up, which trying again does not mend. */
function isConfiguration({ message, status, reason }: ServiceError): boolean {
  return hintOf(message) !== undefined || status === 401 || reason === 'accessDenied' || reason === 'billingNotEnabled'
}

function hintOf(message: string): string | undefined {
  return CONFIGURATION.find(([pattern]) => pattern.test(message))?.[1]
}

/** How long a quota is left alone; they refill little by little. */
const QUOTA_MS = 600_000

/** What failed, as an error of headrace; `safe` says what became of the data. Errors of headrace stay as they are. */
export function failure(where: string, error: unknown, safe: string): Error {
  if (error instanceof HeadraceError || error instanceof GroupRefused) return error
  if (isDiskFull(error)) {
    return new TransientError('DISK_FULL', {
      message: `no space left to stage ${where}`,
      hint: `${safe} Free space, or name another folder with spool, and run again.`,
      cause: error,
    })
  }
  // An abort of the caller keeps its reason.
  if (!(error instanceof ServiceError)) return error instanceof Error ? error : new Error(String(error))
  const message = `${where}: ${error.message}${error.reason === undefined ? '' : ` (${error.reason})`}`
  const details = { message, cause: error }
  if (error.reason === 'quotaExceeded') {
    const hint = `${safe} A quota of the project is used up; it is tried again after 10 minutes.`
    return new TransientError('WAREHOUSE_FAILED', { ...details, hint, notBefore: Date.now() + QUOTA_MS })
  }
  if (
    error.reason === 'bytesBilledLimitExceeded' ||
    error.reason === 'resourcesExceeded' ||
    error.reason === 'responseTooLarge'
  ) {
    const hint = `${safe} Raise maximumBytesBilled, use shorter windows, or lower groupChunks and groupRows.`
    return new DataError('WAREHOUSE_CEILING', { ...details, hint })
  }
  // A job that took too long is cancelled, and rolled back then.
  if (error.mayPass || error.reason === 'stopped') {
    const hint = `${safe} BigQuery kept failing, or did not answer; try again.`
    return new TransientError('WAREHOUSE_FAILED', { ...details, hint })
  }
  if (isConfiguration(error) || error.status === 403) {
    const hint = hintOf(error.message) ?? 'Check the permissions of the account; docs/bigquery.md lists those it needs.'
    return new ConfigError('WAREHOUSE_UNUSABLE', { ...details, hint: `${hint} ${safe}` })
  }
  if (error.missing) {
    return new TransientError('WAREHOUSE_FAILED', { ...details, hint: `${safe} What was staged may have expired; try again.` })
  }
  return new DataError('STAGED_UNREADABLE', { ...details, hint: `${safe} Please report this.` })
}
