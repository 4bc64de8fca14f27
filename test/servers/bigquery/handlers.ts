import { type Answer, ok } from './answers.ts'
import { flushBuffers } from './buffers.ts'
import type { Context } from './context.ts'
import type { Pending } from './exchange.ts'
import { Streams } from './insert-all.ts'
import { insertJob, listJobs, query, queryResults } from './job-routes.ts'
import type { Json } from './json.ts'
import { insertDataset, insertTable, listDatasets, listRows, listTables, patchDataset, patchTable } from './resources.ts'
import type { Route } from './routes.ts'
import { datasetResource, tableResource } from './tables.ts'
import { ResumableUploads } from './uploads.ts'

/** Answers what is asked, when nothing goes wrong on the way. */
export class Handlers {
  readonly #context: Context
  readonly #streams: Streams
  readonly #uploads: ResumableUploads

  constructor(context: Context, base: () => string) {
    this.#context = context
    this.#streams = new Streams(context)
    this.#uploads = new ResumableUploads(context, base)
  }

  expireUploads(): void {
    this.#uploads.expire()
  }

  /** The configuration a resumable upload was started with. */
  resumableBody({ query }: Route): Json {
    return this.#uploads.body(query.get('upload_id'))
  }

  async answer({ route, body, upload, request, effect }: Pending): Promise<Answer> {
    const context = this.#context
    const { catalogue, jobs, project } = context
    const { query: parameters, jobId } = route
    const id = { dataset: route.dataset, table: route.table }
    const etag = request.headers['if-match']
    const limit = effect?.kind === 'cut-upload' ? effect.bytes : undefined
    await flushBuffers(context)
    switch (route.kind) {
      case 'datasets.list':
        return listDatasets(context)
      case 'datasets.insert':
        return await insertDataset(context, body)
      case 'datasets.get':
        return ok(datasetResource(project, catalogue.dataset(id.dataset)))
      case 'datasets.patch':
        return patchDataset(context, route, body, etag)
      case 'datasets.delete':
        await catalogue.deleteDataset(id.dataset, parameters.get('deleteContents') === 'true')
        return { status: 204 }
      case 'tables.list':
        return listTables(context, route)
      case 'tables.insert':
        return await insertTable(context, route, body)
      case 'tables.get':
        return ok(await tableResource(context, catalogue.table(id)))
      case 'tables.patch':
        return await patchTable(context, id, body, etag)
      case 'tables.delete':
        await catalogue.deleteTable(id)
        return { status: 204 }
      case 'tabledata.list':
        return await listRows(context, id, parameters)
      case 'tabledata.insertAll':
        return await this.#streams.insertAll(id, body, effect)
      case 'jobs.insert':
        return await insertJob(context, body)
      case 'jobs.get':
        return ok(jobs.resource(jobs.get(jobId, parameters.get('location'))))
      case 'jobs.list':
        return listJobs(context, parameters)
      case 'jobs.cancel': {
        const job = jobs.get(jobId, parameters.get('location'))
        jobs.cancel(job)
        return ok({ kind: 'bigquery#jobCancelResponse', job: jobs.resource(job) })
      }
      case 'jobs.delete':
        jobs.delete(jobs.get(jobId, parameters.get('location')))
        return ok({})
      case 'jobs.query':
        return await query(context, body)
      case 'jobs.getQueryResults':
        return await queryResults(context, jobs.get(jobId, parameters.get('location')), parameters)
      case 'upload.multipart':
        if (upload === undefined) throw new Error('an upload without media')
        return await upload.receive(limit)
      case 'upload.start':
        return this.#uploads.start(body)
      case 'upload.put':
        return await this.#uploads.put(parameters.get('upload_id'), request, limit)
    }
  }
}
