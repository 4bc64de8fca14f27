import { type Answer, ok } from './answers.ts'
import type { Context } from './context.ts'
import { ApiError } from './errors.ts'
import type { JobKind } from './faults.ts'
import type { Job } from './jobs.ts'
import { compact, integer, isObject, type Json, object, text } from './json.ts'
import { checkLoad, destinationOf, runLoad } from './load.ts'
import { dryRun, runQuery } from './query.ts'
import { pageOf } from './results.ts'

/** What kind of job a configuration is, and what it is about. */
export function subjectOf(body: Json): {
  job: JobKind | undefined
  table: string | undefined
  sql: string | undefined
  jobId: string | undefined
} {
  const configuration = object(body.configuration)
  const { query, load } = configuration
  const jobId = text(object(body.jobReference).jobId)
  if (isObject(load)) {
    const { id } = destinationOf(load)
    return { job: 'LOAD', table: `${id.dataset}.${id.table}`, sql: undefined, jobId }
  }
  return {
    job: isObject(query) ? 'QUERY' : undefined,
    table: undefined,
    sql: isObject(query) ? text(query.query) : undefined,
    jobId,
  }
}

/** Creates the load job of an upload. */
export function createLoad(context: Context, body: Json, file: string): Answer {
  const { jobs } = context
  const subject = subjectOf(body)
  const draft = {
    ...subject,
    kind: 'LOAD' as const,
    configuration: object(body.configuration),
    jobReference: object(body.jobReference),
  }
  return ok(jobs.resource(jobs.create(draft, job => runLoad(context, job, file))))
}

/** `jobs.insert` without media. */
export async function insertJob(context: Context, body: Json): Promise<Answer> {
  const { jobs } = context
  const configuration = object(body.configuration)
  if (isObject(configuration.load)) {
    checkLoad(configuration.load)
    throw new ApiError('invalid', 'Load configuration must specify at least one source URI')
  }
  if (!isObject(configuration.query)) {
    throw new ApiError('notImplemented', 'Jobs other than query and load are not known to this local server')
  }
  const { query } = configuration
  mustBeKnown(query)
  if (configuration.dryRun === true) return ok(await dryRun(context, body))
  return ok(jobs.resource(createQuery(context, configuration, object(body.jobReference))))
}

/** `jobs.query`: a job, and its first page if it is done in time. */
export async function query(context: Context, body: Json): Promise<Answer> {
  const { jobs, switches } = context
  mustBeKnown(body)
  const requestId = text(body.requestId)
  const location = text(body.location)
  const configuration = compact({ query: compact({ ...body, requestId: undefined, location: undefined }), labels: body.labels })
  if (body.dryRun === true) return ok(await dryRun(context, { configuration }))
  const known = requestId === undefined ? undefined : jobs.all.find(({ id }) => id === requestJob(requestId))
  const jobReference = compact({ jobId: requestId === undefined ? undefined : requestJob(requestId), location })
  const job = known ?? createQuery(context, configuration, jobReference)
  const wait = integer(body.timeoutMs) ?? switches.longPollMs
  const parameters = new URLSearchParams(body.maxResults === undefined ? {} : { maxResults: String(body.maxResults) })
  return await results(context, job, wait, parameters, 'bigquery#queryResponse')
}

function requestJob(requestId: string): string {
  return `job_request_${requestId.replaceAll(/[^A-Za-z0-9_-]/g, '_')}`
}

function createQuery(context: Context, configuration: Json, jobReference: Json): Job {
  const sql = text(object(configuration.query).query)
  const draft = { kind: 'QUERY' as const, configuration, jobReference, table: undefined, sql }
  return context.jobs.create(draft, job => runQuery(context, job))
}

/** Fields of a query configuration that would change what it does, and that this server does not know. */
const UNKNOWN = [
  'destinationTable',
  'tableDefinitions',
  'createSession',
  'connectionProperties',
  'userDefinedFunctionResources',
  'timePartitioning',
  'rangePartitioning',
  'clustering',
  'schemaUpdateOptions',
  'continuous',
]

function mustBeKnown(query: Json): void {
  if (query.useLegacySql !== false) throw new ApiError('notImplemented', 'Legacy SQL is not known to this local server')
  for (const name of UNKNOWN) {
    if (query[name] !== undefined && query[name] !== false) {
      throw new ApiError('notImplemented', `configuration.query.${name} is not known to this local server`)
    }
  }
}

/** `jobs.getQueryResults`: waits for the job as long as the request allows, then answers a page. */
export async function queryResults(context: Context, job: Job, parameters: URLSearchParams): Promise<Answer> {
  const wait = integer(parameters.get('timeoutMs') ?? undefined) ?? context.switches.longPollMs
  return await results(context, job, wait, parameters, 'bigquery#getQueryResultsResponse')
}

async function results(context: Context, job: Job, wait: number, parameters: URLSearchParams, kind: string): Promise<Answer> {
  const { clock, jobs, switches } = context
  const patience = new AbortController()
  await Promise.race([job.finished, clock.wait(Math.min(wait, 200_000), patience.signal)])
  patience.abort()
  const jobReference = jobs.reference(job)
  if (job.state !== 'DONE') return ok({ kind, jobReference, jobComplete: false })
  if (job.error !== undefined) throw job.error
  const all = job.result?.rows ?? []
  const { rows, pageToken } = pageOf(all, parameters, switches.pageRows)
  const { totalBytesProcessed, totalBytesBilled, numDmlAffectedRows } = job.details
  return ok(
    compact({
      kind,
      schema: job.result === undefined ? undefined : { fields: job.result.fields },
      jobReference,
      totalRows: String(all.length),
      pageToken,
      rows: rows.length === 0 ? undefined : rows,
      totalBytesProcessed: totalBytesProcessed ?? '0',
      totalBytesBilled,
      jobComplete: true,
      cacheHit: false,
      numDmlAffectedRows,
    }),
  )
}

/** `jobs.list`: newest first, the children of one job or all that are no children. */
export function listJobs({ jobs }: Context, parameters: URLSearchParams): Answer {
  const parent = parameters.get('parentJobId')
  const states = parameters.getAll('stateFilter').map(state => state.toUpperCase())
  const found = parent === null ? jobs.all : jobs.get(parent, jobs.location).children
  const listed = found.filter(({ state }) => states.length === 0 || states.includes(state)).toReversed()
  const resources = listed.map(job => jobs.resource(job))
  const { rows, pageToken } = pageOf(resources, parameters, 1_000)
  return ok(compact({ kind: 'bigquery#jobList', jobs: rows.length === 0 ? undefined : rows, nextPageToken: pageToken }))
}
