/** The HTTP status of each reason, as the error table of the documentation has it. */
const STATUS = {
  accessDenied: 403,
  backendError: 503,
  badRequest: 400,
  conditionNotMet: 412,
  duplicate: 409,
  internalError: 500,
  invalid: 400,
  invalidQuery: 400,
  jobBackendError: 400,
  jobInternalError: 400,
  jobRateLimitExceeded: 400,
  notFound: 404,
  notImplemented: 501,
  quotaExceeded: 403,
  rateLimitExceeded: 403,
  resourceInUse: 400,
  responseTooLarge: 403,
  stopped: 200,
  bytesBilledLimitExceeded: 400,
  timeout: 400,
} as const

/** A reason as errors carry it. */
export type Reason = keyof typeof STATUS

/** One error as it stands in `errorResult`, `errors` and error answers. */
export interface ErrorProto {
  readonly reason: Reason
  readonly message: string
  readonly location?: string
}

/** A request or a job that fails the way the service fails it. */
export class ApiError extends Error {
  readonly reason: Reason
  readonly location: string | undefined
  /** What `status.errors` of a job lists besides the error itself. */
  readonly details: readonly ErrorProto[]

  constructor(reason: Reason, message: string, location?: string, details: readonly ErrorProto[] = []) {
    super(message)
    this.reason = reason
    this.location = location
    this.details = details
  }

  /** The HTTP status of an answer with this error. */
  get status(): number {
    return STATUS[this.reason]
  }

  /** The error as a job carries it. */
  get proto(): ErrorProto {
    return {
      reason: this.reason,
      ...(this.location === undefined ? {} : { location: this.location }),
      message: this.message,
    }
  }
}

/** A statement or a value of a query that is wrong, or that this server does not know. */
export function invalidQuery(message: string): ApiError {
  return new ApiError('invalidQuery', message, 'query')
}

/** Whatever was thrown, as the service would have put it. */
export function asApiError(thrown: unknown): ApiError {
  if (thrown instanceof ApiError) return thrown
  return new ApiError('internalError', thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown))
}

const STATUS_NAMES: Readonly<Record<number, string>> = {
  400: 'INVALID_ARGUMENT',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  409: 'ALREADY_EXISTS',
  412: 'FAILED_PRECONDITION',
  500: 'INTERNAL',
  501: 'UNIMPLEMENTED',
  503: 'UNAVAILABLE',
}

/** The body of an error answer. */
export function envelope({ reason, message, location }: ErrorProto, code: number): object {
  const one = { message, domain: 'global', reason, ...(location === undefined ? {} : { location, locationType: 'parameter' }) }
  return { error: { code, message, errors: [one], status: STATUS_NAMES[code] ?? 'UNKNOWN' } }
}
