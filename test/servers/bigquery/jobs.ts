import { createHash, randomUUID } from 'node:crypto'
import type { Clock } from './clock.ts'
import { ApiError, asApiError } from './errors.ts'
import { type Faults, injected, type JobKind } from './faults.ts'
import { integer, type Json, object, text } from './json.ts'
import type { ResultSet } from './results.ts'

/** A job from its creation on. */
export interface Job {
  readonly id: string
  readonly location: string
  readonly kind: JobKind
  readonly configuration: Json
  readonly createdAt: number
  startedAt: number | undefined
  endedAt: number | undefined
  state: 'PENDING' | 'RUNNING' | 'DONE'
  error: ApiError | undefined
  /** `statistics.query` or `statistics.load`, as far as it is known. */
  details: Json
  /** Statistics beside them. */
  more: Json
  result: ResultSet | undefined
  readonly parent: Job | undefined
  readonly children: Job[]
  readonly stop: AbortController
  /** Resolves when the job is done, however it ended. */
  finished: Promise<void>
}

/** What a request says about the job it creates. */
export interface JobDraft {
  readonly kind: JobKind
  readonly configuration: Json
  readonly jobReference: Json
  readonly table: string | undefined
  readonly sql: string | undefined
}

/** Milliseconds a job takes, by what it does, on top of the work itself. */
export type Latency = Readonly<Partial<Record<JobKind, number>>>

/** Every job there ever was. Ids are unique per project and location, and the first with an id is the only one. */
export class Jobs {
  readonly project: string
  readonly location: string
  latency: Latency = {}
  readonly #jobs = new Map<string, Job>()
  readonly #clock: Clock
  readonly #faults: Faults

  constructor(project: string, location: string, clock: Clock, faults: Faults) {
    this.project = project
    this.location = location
    this.#clock = clock
    this.#faults = faults
  }

  /** Every job but the children of scripts, in order of creation. */
  get all(): readonly Job[] {
    return [...this.#jobs.values()].filter(({ parent }) => parent === undefined)
  }

  /** Creates a job and lets it run; throws `duplicate` when the id is taken. */
  create(draft: JobDraft, work: (job: Job) => Promise<void>): Job {
    const { kind, configuration, jobReference } = draft
    const id = text(jobReference.jobId) ?? `job_${randomUUID().replaceAll('-', '')}`
    if (!/^[A-Za-z0-9_-]{1,1024}$/.test(id)) throw new ApiError('invalid', `Invalid job ID "${id}"`)
    const location = text(jobReference.location) ?? this.location
    if (location.toUpperCase() !== this.location.toUpperCase()) {
      throw new ApiError('notFound', `Not found: Dataset was not found in location ${location}`)
    }
    if (this.#jobs.has(id)) throw new ApiError('duplicate', `Already Exists: Job ${this.project}:${this.location}.${id}`)
    const job = this.#add(id, kind, configuration, undefined)
    job.finished = this.#run(job, draft, work)
    return job
  }

  /** A job of one statement or expression of a script; it is made when it is done. */
  child(parent: Job, startedAt: number, details: Json, more: Json, query: string, error: ApiError | undefined): Job {
    const id = `script_job_${createHash('md5').update(parent.id).digest('hex')}_${parent.children.length}`
    const job = this.#add(id, 'QUERY', { jobType: 'QUERY', query: { query, useLegacySql: false } }, parent)
    Object.assign(job, { state: 'DONE', startedAt, endedAt: this.#clock.now(), details, more, error })
    parent.children.push(job)
    return job
  }

  /** The job, if the location is right: without one only those in the US and the EU are found. */
  get(id: string, location: string | null | undefined): Job {
    const job = this.#jobs.get(id)
    const found = location ?? (/^(US|EU)$/i.test(this.location) ? this.location : '')
    if (job === undefined || found.toUpperCase() !== job.location.toUpperCase()) {
      throw new ApiError('notFound', `Not found: Job ${this.project}:${location ?? 'US'}.${id}`)
    }
    return job
  }

  delete(job: Job): void {
    if (job.state !== 'DONE') throw new ApiError('invalid', `Job ${job.id} is still running`)
    for (const child of job.children) this.#jobs.delete(child.id)
    this.#jobs.delete(job.id)
  }

  /** Asks a job to stop. What is done already stays done. */
  cancel(job: Job): void {
    job.stop.abort(new ApiError('stopped', 'Job execution was cancelled: User requested cancellation'))
  }

  /** Ends every job that is still running, so that the server can close. */
  async close(): Promise<void> {
    for (const job of this.#jobs.values()) this.cancel(job)
    await Promise.all([...this.#jobs.values()].map(({ finished }) => finished))
  }

  /** The job as the API shows it. */
  resource(job: Job): Json {
    const { configuration, createdAt, startedAt, endedAt, error } = job
    const times = { creationTime: String(createdAt), ...(startedAt === undefined ? {} : { startTime: String(startedAt) }) }
    const section = job.kind.toLowerCase()
    return {
      kind: 'bigquery#job',
      etag: `"${createHash('md5').update(`${job.id} ${job.state}`).digest('base64')}"`,
      id: `${this.project}:${job.location}.${job.id}`,
      selfLink: `/projects/${this.project}/jobs/${job.id}?location=${job.location}`,
      user_email: 'headrace@example.com',
      configuration: { ...configuration, jobType: job.kind },
      jobReference: this.reference(job),
      statistics:
        endedAt === undefined
          ? times
          : {
              ...times,
              endTime: String(endedAt),
              totalSlotMs: String(endedAt - (startedAt ?? createdAt)),
              ...(job.children.length === 0 ? {} : { numChildJobs: String(job.children.length) }),
              ...(job.parent === undefined ? {} : { parentJobId: job.parent.id }),
              ...job.more,
              [section]: job.details,
            },
      status: {
        state: job.state,
        ...(error === undefined ? {} : { errorResult: error.proto, errors: [error.proto, ...error.details] }),
      },
      principal_subject: 'serviceAccount:headrace@example.com',
    }
  }

  reference({ id, location }: Job): Json {
    return { projectId: this.project, jobId: id, location }
  }

  #add(id: string, kind: JobKind, configuration: Json, parent: Job | undefined): Job {
    const job: Job = {
      id,
      location: this.location,
      kind,
      configuration,
      createdAt: this.#clock.now(),
      startedAt: undefined,
      endedAt: undefined,
      state: 'PENDING',
      error: undefined,
      details: {},
      more: {},
      result: undefined,
      parent,
      children: [],
      stop: new AbortController(),
      finished: Promise.resolve(),
    }
    this.#jobs.set(id, job)
    return job
  }

  async #run(job: Job, { kind, table, sql }: JobDraft, work: (job: Job) => Promise<void>): Promise<void> {
    const { signal } = job.stop
    const effect = this.#faults.job({ job: kind, table, sql })
    const limit = integer(object(job.configuration).jobTimeoutMs)
    const late = new ApiError('timeout', `Operation timed out after ${limit} ms.`)
    const timer = limit === undefined ? undefined : setTimeout(() => job.stop.abort(late), limit)
    try {
      // Whoever created the job has the answer first.
      await new Promise(resolve => setImmediate(resolve))
      job.state = 'RUNNING'
      job.startedAt = this.#clock.now()
      if (effect?.kind === 'stuck') await new Promise(resolve => signal.addEventListener('abort', resolve))
      await this.#clock.wait((this.latency[kind] ?? 0) + (effect?.kind === 'delay' ? effect.ms : 0), signal)
      signal.throwIfAborted()
      if (effect?.kind === 'error' && effect.after !== true) throw injectedError(effect)
      await work(job)
      if (effect?.kind === 'error') throw injectedError(effect)
    } catch (thrown) {
      job.error = asApiError(thrown)
    } finally {
      clearTimeout(timer)
      job.endedAt = this.#clock.now()
      job.state = 'DONE'
    }
  }
}

function injectedError(effect: Parameters<typeof injected>[0]): ApiError {
  const { reason, message } = injected(effect)
  return new ApiError(reason, message)
}
