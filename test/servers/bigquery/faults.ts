import type { ErrorProto, Reason } from './errors.ts'

/** What a request asks for, in the terms of the API. */
export type RequestKind =
  | 'datasets.list'
  | 'datasets.insert'
  | 'datasets.get'
  | 'datasets.patch'
  | 'datasets.delete'
  | 'tables.list'
  | 'tables.insert'
  | 'tables.get'
  | 'tables.patch'
  | 'tables.delete'
  | 'tabledata.list'
  | 'tabledata.insertAll'
  | 'jobs.insert'
  | 'jobs.get'
  | 'jobs.list'
  | 'jobs.cancel'
  | 'jobs.delete'
  | 'jobs.query'
  | 'jobs.getQueryResults'
  | 'upload.multipart'
  | 'upload.start'
  | 'upload.put'

/** What a job does. */
export type JobKind = 'QUERY' | 'LOAD' | 'COPY'

/** A request as the log and the faults see it. */
export interface RequestInfo {
  /** Counts from 0 over the life of the server. */
  readonly index: number
  readonly kind: RequestKind
  readonly method: string
  /** Path and query. */
  readonly path: string
  /** The job it is about, if it names one. */
  readonly jobId: string | undefined
  /** What kind of job it creates. */
  readonly job: JobKind | undefined
  /** The table it is about, or that it loads into, as `dataset.table`. */
  readonly table: string | undefined
  /** The text of the query it brings. */
  readonly sql: string | undefined
  /** Rows of an insertAll. */
  readonly rows: number
  /** The body as JSON; of an upload, its first part. */
  readonly body: unknown
  /** What was answered; 0 while nothing was, and for ever if the connection was destroyed. */
  status: number
}

/** What goes wrong with a request. `after` is when the work was done, and only the answer suffers. */
export type RequestEffect =
  | {
      readonly kind: 'error'
      readonly reason: Reason
      readonly message?: string
      readonly status?: number
      readonly after?: boolean
    }
  | { readonly kind: 'hang'; readonly after?: boolean }
  | { readonly kind: 'reset'; readonly after?: boolean }
  /** Reads that many bytes of the media, then destroys the connection; no job is created. */
  | { readonly kind: 'cut-upload'; readonly bytes: number }
  /** Half of the answer, then the end of the connection. */
  | { readonly kind: 'truncate' }
  /** The answer one byte at a time, so slowly that it never ends. */
  | { readonly kind: 'drip' }
  /** The right answer under another type, or none. */
  | { readonly kind: 'content-type'; readonly value: string | undefined }
  /** What a proxy says: no JSON at all. */
  | { readonly kind: 'proxy'; readonly status: number }
  | { readonly kind: 'delay'; readonly ms: number }
  /** Single rows of an insertAll that fail though nothing is wrong with them; the others are stored. */
  | { readonly kind: 'rows'; readonly indexes: readonly number[]; readonly reason: Reason; readonly message?: string }
  /** Streamed rows are acknowledged and lost, as on a table made a moment ago. */
  | { readonly kind: 'lose-rows' }

/** What goes wrong with a job after it was created. */
export type JobEffect =
  | { readonly kind: 'error'; readonly reason: Reason; readonly message?: string; readonly after?: boolean }
  | { readonly kind: 'delay'; readonly ms: number }
  /** Runs until somebody cancels it. */
  | { readonly kind: 'stuck' }

interface Arming<On, Effect> {
  readonly on: On
  readonly effect: Effect
  /** Only of jobs of this kind. */
  readonly job?: JobKind
  /** Only what is about a table whose `dataset.table` contains this text. */
  readonly table?: string
  /** Only queries whose text contains this. */
  readonly sql?: string
  /** Lets this many pass first. */
  readonly skip?: number
  /** How often it strikes; once, unless said otherwise. */
  readonly times?: number
}

/** A fault of requests, armed. */
export type RequestFault = Arming<RequestKind | readonly RequestKind[] | 'any', RequestEffect>

/** A fault of jobs, armed. */
export type JobFault = Arming<'job', JobEffect>

/** Says how often a fault has struck. */
export interface Armed {
  readonly fired: number
  /** Takes it back. */
  disarm(): void
}

type Subject = Pick<RequestInfo, 'job' | 'table' | 'sql'>

interface Waiting<F> {
  readonly fault: F
  seen: number
  fired: number
}

/** Everything a test has armed, in order; the first that matches strikes. */
export class Faults {
  readonly #requests = new Set<Waiting<RequestFault>>()
  readonly #jobs = new Set<Waiting<JobFault>>()

  /** Arms a fault. */
  add(fault: RequestFault | JobFault): Armed {
    return isJobFault(fault) ? arm(this.#jobs, fault) : arm(this.#requests, fault)
  }

  /** Disarms everything. */
  clear(): void {
    this.#requests.clear()
    this.#jobs.clear()
  }

  /** What happens to this request. */
  request(info: RequestInfo): RequestEffect | undefined {
    return strike(this.#requests, info, ({ on }) => on === 'any' || on === info.kind || on.includes(info.kind))?.effect
  }

  /** What happens to this job. */
  job(subject: Subject): JobEffect | undefined {
    return strike(this.#jobs, subject, () => true)?.effect
  }
}

function isJobFault(fault: RequestFault | JobFault): fault is JobFault {
  return fault.on === 'job'
}

function arm<F>(faults: Set<Waiting<F>>, fault: F): Armed {
  const waiting: Waiting<F> = { fault, seen: 0, fired: 0 }
  faults.add(waiting)
  return {
    get fired() {
      return waiting.fired
    },
    disarm: () => void faults.delete(waiting),
  }
}

function strike<F extends RequestFault | JobFault>(
  faults: Set<Waiting<F>>,
  subject: Subject,
  isOn: (fault: F) => boolean,
): F | undefined {
  for (const waiting of faults) {
    const { fault } = waiting
    const matches =
      isOn(fault) &&
      (fault.job === undefined || fault.job === subject.job) &&
      (fault.table === undefined || subject.table?.includes(fault.table) === true) &&
      (fault.sql === undefined || subject.sql?.includes(fault.sql) === true)
    if (!matches || waiting.seen++ < (fault.skip ?? 0)) continue
    if (++waiting.fired >= (fault.times ?? 1)) faults.delete(waiting)
    return fault
  }
  return undefined
}

/** The error an effect stands for. */
export function injected(effect: { readonly reason: Reason; readonly message?: string }): ErrorProto {
  return { reason: effect.reason, message: effect.message ?? MESSAGES[effect.reason] ?? effect.reason }
}

const MESSAGES: Readonly<Partial<Record<Reason, string>>> = {
  rateLimitExceeded: 'Exceeded rate limits: too many api requests per user per method for this user_method.',
  jobRateLimitExceeded: 'Exceeded rate limits: too many concurrent queries for this project.',
  quotaExceeded: 'Quota exceeded: Your project exceeded quota for free query bytes scanned.',
  backendError: 'Error encountered during execution. Retrying may solve the problem.',
  internalError: 'An internal error occurred and the request could not be completed.',
  jobBackendError: 'The job encountered an internal error during execution and was unable to complete successfully.',
  jobInternalError: 'The job encountered an internal error during execution and was unable to complete successfully.',
}
