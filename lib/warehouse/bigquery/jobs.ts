import { createHash, randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from './client.ts'
import { ServiceError } from './failure.ts'
import type { QueryParameter } from './parameters.ts'

/** The part of a job that is chosen by us. */
export interface JobConfiguration {
  readonly labels: Readonly<Record<string, string>>
  readonly jobTimeoutMs?: string
  readonly query?: Readonly<Record<string, unknown>>
  readonly load?: Readonly<Record<string, unknown>>
}

/** A job as it is sent. */
export interface JobRequest {
  readonly configuration: JobConfiguration
  readonly jobReference: { readonly projectId: string; readonly jobId: string; readonly location: string }
}

/** A job as BigQuery describes it. Whatever is absent is absent in the answer. */
export interface Job {
  readonly jobReference?: { readonly jobId?: string; readonly location?: string }
  readonly configuration?: { readonly labels?: Readonly<Record<string, string>> }
  readonly status?: {
    readonly state?: string
    readonly errorResult?: { readonly reason?: string; readonly message?: string; readonly location?: string }
    readonly errors?: readonly { readonly reason?: string; readonly message?: string; readonly location?: string }[]
  }
  readonly statistics?: {
    readonly numChildJobs?: string
    readonly totalSlotMs?: string
    readonly totalBytesProcessed?: string
    readonly query?: { readonly totalBytesBilled?: string; readonly totalSlotMs?: string }
    readonly load?: { readonly outputRows?: string; readonly badRecords?: string }
  }
}

/** How a job is handed over; the default is one request. */
export type Submit = (request: JobRequest) => Promise<Job>

/** What is to be run. */
export interface JobPlan {
  /** The job id without its number of tries. The same plan must always come with the same id. */
  readonly id: string
  readonly configuration: Omit<JobConfiguration, 'labels'>
  readonly submit?: Submit
  /** Ends the wait for a job that changes nothing. */
  readonly signal?: AbortSignal | undefined
}

/** A job that succeeded, and how many it took. */
export interface Ran {
  readonly job: Job
  readonly jobId: string
  readonly jobs: number
}

const SAME = 'headrace-plan'

/**
 * Runs a job to its end, exactly once: its id follows from the plan, so that a job whose answer was lost is found again and never
 * submitted twice. Only when BigQuery has said that it failed, for a reason that may pass, does the next try get another id.
 */
export async function runJob(client: Client, plan: JobPlan): Promise<Ran> {
  const { location, jobSeconds, requestSeconds, tries } = client.settings
  const deadline = Date.now() + jobSeconds * 1_000
  const projectId = await client.project()
  const hash = createHash('sha256').update(JSON.stringify(plan.configuration)).digest('hex').slice(0, 32)
  const configuration = {
    ...plan.configuration,
    labels: { product: 'headrace', [SAME]: hash },
    // For the case that this process dies; while it lives it cancels the job itself, before that.
    jobTimeoutMs: String(Math.ceil((jobSeconds + requestSeconds) * 1_000)),
  }
  for (let attempt = 1; ; attempt++) {
    const jobId = `${plan.id}-a${attempt}`
    const request: JobRequest = { configuration, jobReference: { projectId, jobId, location } }
    try {
      const submitted = await handedOver(client, request, plan, deadline)
      if (submitted.configuration?.labels?.[SAME] !== hash) {
        throw new ServiceError({ message: `another job already has the id ${jobId}`, reason: 'duplicate' })
      }
      return { job: await ended(client, request, submitted, deadline, plan.signal), jobId, jobs: attempt }
    } catch (error) {
      const final = !(error instanceof ServiceError && error instanceof JobFailed && error.mayPass)
      if (final || attempt >= tries || Date.now() >= deadline) throw error
      await client.pause(attempt, plan.signal)
    }
  }
}

/** A job that BigQuery has ended without success: nothing of it happened. */
export class JobFailed extends ServiceError {
  /** What BigQuery says of it in detail, at most five. */
  readonly details: readonly string[]

  constructor({ status }: Job) {
    const { reason, message, location } = status?.errorResult ?? {}
    super({ message: message ?? 'the job failed', reason: reason ?? 'unknown' })
    this.details = (status?.errors ?? []).map(
      detail => `${detail.message ?? ''}${location === undefined ? '' : ` at ${location}`}`,
    )
  }
}

/** Hands the job over. A lost answer, and an id that is taken, are settled by looking for the job. */
async function handedOver(client: Client, request: JobRequest, plan: JobPlan, deadline: number): Promise<Job> {
  const submit = plan.submit ?? (async job => (await client.send({ method: 'POST', path: '/jobs', json: job })).body)
  for (let attempt = 1; ; attempt++) {
    try {
      const job = await submit(request)
      if (job.jobReference === undefined) throw new ServiceError({ message: 'the answer is cut' })
      return job
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error
      if (error.duplicate || error.unknown) {
        const found = await find(client, request)
        if (found !== undefined) return found
      }
      if (!(error.duplicate || error.mayPass) || attempt >= client.settings.tries || Date.now() >= deadline) throw error
    }
    await client.pause(attempt, plan.signal)
  }
}

async function find(client: Client, { jobReference }: JobRequest): Promise<Job | undefined> {
  try {
    return await look(client, jobReference)
  } catch (error) {
    if (error instanceof ServiceError && error.missing) return undefined
    throw error
  }
}

async function look(client: Client, { jobId, location }: JobRequest['jobReference'], signal?: AbortSignal): Promise<Job> {
  return (await client.ask({ method: 'GET', path: `/jobs/${jobId}`, query: { location }, signal })).body
}

/** Longest pause between two looks at a job. */
const LOOK_MS = 2_000

async function ended(
  client: Client,
  { jobReference }: JobRequest,
  submitted: Job,
  deadline: number,
  signal: AbortSignal | undefined,
): Promise<Job> {
  let cancelled = false
  let job = submitted
  for (let pause = 20; job.status?.state !== 'DONE'; pause = Math.min(LOOK_MS, pause * 2)) {
    if (Date.now() >= deadline) {
      if (cancelled) {
        throw new ServiceError({ message: `job ${jobReference.jobId} did not end within ${client.settings.jobSeconds} s` })
      }
      // It may still succeed: one more look tells, after the time of a request.
      cancelled = true
      deadline = Date.now() + client.settings.requestSeconds * 1_000
      await cancel(client, jobReference)
    }
    await sleep(pause, undefined, { signal })
    job = await look(client, jobReference, signal)
  }
  if (job.status.errorResult !== undefined) throw new JobFailed(job)
  return job
}

async function cancel(client: Client, { jobId, location }: JobRequest['jobReference']): Promise<void> {
  await client.send({ method: 'POST', path: `/jobs/${jobId}/cancel`, query: { location } }).catch(() => undefined)
}

/** What a query is run with. */
export interface QueryPlan {
  readonly sql: string
  readonly parameters?: readonly QueryParameter[]
  /** The job id for one that changes something; a query that only reads gets a random one. */
  readonly id?: string
  /** Whether it is a script, which has its ceilings elsewhere. */
  readonly script?: boolean
  readonly signal?: AbortSignal | undefined
}

/** Runs a query or a script to its end. */
export function runQuery(client: Client, { sql, parameters = [], id, script = false, signal }: QueryPlan): Promise<Ran> {
  const { maximumBytesBilled: ceiling } = client.settings
  const limit = ceiling === undefined ? {} : script ? {} : { maximumBytesBilled: String(ceiling) }
  const budget = ceiling === undefined ? {} : { statementByteBudget: String(ceiling) }
  const query = {
    query: sql,
    useLegacySql: false,
    ...limit,
    ...(script ? { scriptOptions: { keyResultStatement: 'LAST', ...budget } } : {}),
    ...(parameters.length === 0 ? {} : { parameterMode: 'NAMED', queryParameters: parameters }),
  }
  return runJob(client, { id: id ?? `headrace-read-${randomUUID()}`, configuration: { query }, signal })
}

/** How many bytes a statement would read, or change, at most. It is not run, and nothing is charged. */
export async function dryRun(
  client: Client,
  { sql, parameters = [], signal }: Pick<QueryPlan, 'sql' | 'parameters' | 'signal'>,
): Promise<number> {
  const query = {
    query: sql,
    useLegacySql: false,
    ...(parameters.length === 0 ? {} : { parameterMode: 'NAMED', queryParameters: parameters }),
  }
  const { location } = client.settings
  const jobReference = { projectId: await client.project(), location }
  const json = { configuration: { dryRun: true, query }, jobReference }
  const { body }: { readonly body: Job } = await client.ask({ method: 'POST', path: '/jobs', json, signal })
  const bytes = Number(body.statistics?.totalBytesProcessed)
  if (Number.isFinite(bytes)) return bytes
  throw new ServiceError({ message: 'a dry run was answered without a number of bytes' })
}

/** A row of a result by column; every value as text. */
export type ResultRow = Readonly<Record<string, string | null>>

/** Rows of a page of results. */
const PAGE = 10_000

/** The result of a query that has ended, page by page. */
export async function* resultRows(client: Client, jobId: string, signal?: AbortSignal): AsyncGenerator<ResultRow> {
  const { location } = client.settings
  let pageToken: string | undefined
  do {
    const query = {
      location,
      maxResults: PAGE,
      'formatOptions.useInt64Timestamp': 'true',
      ...(pageToken === undefined ? {} : { pageToken }),
    }
    const { body } = await client.ask({ method: 'GET', path: `/queries/${jobId}`, query, signal })
    const page: ResultPage = body
    const names = (page.schema?.fields ?? []).map(({ name }) => name ?? '')
    for (const { f = [] } of page.rows ?? []) {
      yield Object.fromEntries(names.map((name, index) => [name, f[index]?.v ?? null]))
    }
    pageToken = page.pageToken
  } while (pageToken !== undefined)
}

interface ResultPage {
  readonly schema?: { readonly fields?: readonly { readonly name?: string }[] }
  readonly rows?: readonly { readonly f?: readonly { readonly v?: string | null }[] }[]
  readonly pageToken?: string
}
