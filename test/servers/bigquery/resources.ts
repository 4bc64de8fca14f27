import { type Answer, ok } from './answers.ts'
import { type TableId, tableName } from './catalogue.ts'
import type { Context } from './context.ts'
import { ApiError } from './errors.ts'
import { compact, integer, isObject, type Json, object, text } from './json.ts'
import { fetchResult, pageOf } from './results.ts'
import type { Route } from './routes.ts'
import { datasetResource, listedTable, mustBeCurrent, tableDraft, tableExpiration, tableResource } from './tables.ts'
import { fieldsOf } from './types.ts'

/** `datasets.list`. */
export function listDatasets({ catalogue, project }: Context): Answer {
  const datasets = catalogue.datasets.map(dataset => compact({ ...datasetResource(project, dataset), kind: 'bigquery#dataset' }))
  return ok(compact({ kind: 'bigquery#datasetList', datasets: datasets.length === 0 ? undefined : datasets }))
}

/** `datasets.insert`. */
export async function insertDataset({ catalogue, project, location }: Context, body: Json): Promise<Answer> {
  const wanted = text(body.location) ?? location
  if (wanted.toUpperCase() !== location.toUpperCase()) {
    throw new ApiError('notImplemented', `This local server is in ${location}; a dataset in ${wanted} is not possible`)
  }
  const dataset = await catalogue.createDataset(text(object(body.datasetReference).datasetId) ?? '', {
    location,
    defaultTableExpirationMs: tableExpiration(body),
    labels: isObject(body.labels) ? body.labels : undefined,
    description: text(body.description),
  })
  return ok(datasetResource(project, dataset))
}

/** `datasets.patch`. */
export function patchDataset({ catalogue, project }: Context, route: Route, body: Json, etag: string | undefined): Answer {
  const dataset = catalogue.dataset(route.dataset)
  mustBeCurrent(etag, dataset)
  if ('defaultTableExpirationMs' in body) dataset.defaultTableExpirationMs = tableExpiration(body)
  if (isObject(body.labels)) dataset.labels = compact({ ...dataset.labels, ...body.labels })
  if ('description' in body) dataset.description = text(body.description)
  catalogue.touch(dataset)
  return ok(datasetResource(project, dataset))
}

/** `tables.list`. */
export function listTables({ catalogue }: Context, { dataset, query }: Route): Answer {
  const tables = catalogue.tables(dataset).map(entry => listedTable(catalogue, entry))
  const { rows, pageToken } = pageOf(tables, query, 1_000)
  return ok(
    compact({
      kind: 'bigquery#tableList',
      nextPageToken: pageToken,
      tables: rows.length === 0 ? undefined : rows,
      totalItems: tables.length,
    }),
  )
}

/** `tables.insert`. */
export async function insertTable(context: Context, { dataset }: Route, body: Json): Promise<Answer> {
  const id = { dataset, table: text(object(body.tableReference).tableId) ?? '' }
  return ok(await tableResource(context, await context.catalogue.createTable(id, tableDraft(body))))
}

/** What `tables.patch` can change. */
const PATCHABLE = ['schema', 'expirationTime', 'labels', 'description', 'requirePartitionFilter']
/** What may stand in a patch as long as it says what is so already. */
const FIXED = ['timePartitioning', 'clustering', 'view', 'rangePartitioning', 'defaultCollation']

/** `tables.patch`. */
export async function patchTable(context: Context, id: TableId, body: Json, etag: string | undefined): Promise<Answer> {
  const { catalogue } = context
  const entry = catalogue.table(id)
  mustBeCurrent(etag, entry)
  const resource = await tableResource(context, entry)
  for (const name of FIXED) {
    if (name in body && JSON.stringify(body[name]) !== JSON.stringify(resource[name])) {
      throw new ApiError('notImplemented', `Changing ${name} is not known to this local server; it knows ${PATCHABLE.join(', ')}`)
    }
  }
  if (isObject(body.schema)) await catalogue.changeFields(entry, fieldsOf(body.schema))
  if ('expirationTime' in body) entry.expiresAt = integer(body.expirationTime)
  if (isObject(body.labels)) entry.labels = compact({ ...entry.labels, ...body.labels })
  if ('description' in body) entry.description = text(body.description)
  if ('requirePartitionFilter' in body) entry.requirePartitionFilter = body.requirePartitionFilter === true
  catalogue.touch(entry)
  return ok(await tableResource(context, entry))
}

/** `tabledata.list`: rows in no order, without those of the streaming buffer. */
export async function listRows({ catalogue, duck, switches }: Context, id: TableId, query: URLSearchParams): Promise<Answer> {
  const entry = catalogue.table(id)
  const { rows } = await duck.use(session => fetchResult(session, `SELECT * FROM ${tableName(id)}`))
  const page = pageOf(rows, query, switches.pageRows)
  return ok(
    compact({
      kind: 'bigquery#tableDataList',
      etag: `"${entry.version}"`,
      totalRows: String(rows.length),
      pageToken: page.pageToken,
      rows: page.rows.length === 0 ? undefined : page.rows,
    }),
  )
}
