import type { Catalogue, Dataset, Draft, Partitioning, TableEntry } from './catalogue.ts'
import { tableName } from './catalogue.ts'
import type { Context } from './context.ts'
import { ApiError } from './errors.ts'
import { compact, integer, isObject, type Json, list, object, text } from './json.ts'
import { fieldResource, fieldsOf } from './types.ts'

/** What a table resource, or a load configuration, says a new table is like. */
export function tableDraft(body: Json): Draft {
  for (const unknown of [
    'view',
    'materializedView',
    'externalDataConfiguration',
    'rangePartitioning',
    'encryptionConfiguration',
  ]) {
    if (body[unknown] !== undefined) throw new ApiError('notImplemented', `${unknown} is not known to this local server`)
  }
  const fields = list(object(body.clustering).fields).map(String)
  if (fields.length > 4) throw new ApiError('invalid', 'Too many clustering fields: at most 4 are allowed.')
  const partitioning = partitioningOf(body.timePartitioning)
  return {
    fields: fieldsOf(body.schema),
    partitioning,
    clustering: fields.length === 0 ? undefined : fields,
    requirePartitionFilter: body.requirePartitionFilter === true || object(body.timePartitioning).requirePartitionFilter === true,
    expiresAt: integer(body.expirationTime),
    labels: isObject(body.labels) ? body.labels : undefined,
    description: text(body.description),
  }
}

function partitioningOf(value: unknown): Partitioning | undefined {
  if (value === undefined || value === null) return undefined
  const { type, field, expirationMs } = object(value)
  if (type !== 'DAY' && type !== 'MONTH' && type !== 'YEAR') {
    throw new ApiError('notImplemented', `Partitioning by ${String(type)} is not known to this local server`)
  }
  const column = text(field)
  if (column === undefined)
    throw new ApiError('notImplemented', 'Partitioning by ingestion time is not known to this local server')
  const expires = integer(expirationMs)
  return { type, field: column, ...(expires === undefined ? {} : { expirationMs: String(expires) }) }
}

/** A table as the API shows it. */
export async function tableResource({ catalogue, duck, location }: Context, entry: TableEntry): Promise<Json> {
  const { id, fields, partitioning, clustering, buffer } = entry
  const rows = await duck.use(session => session.query(`SELECT count(*) AS n FROM ${tableName(id)}`))
  const numRows = String(rows[0]?.n)
  const numBytes = String(Number(numRows) * 8 * fields.length)
  return compact({
    ...heading(catalogue, entry),
    schema: { fields: fields.map(fieldResource) },
    description: entry.description,
    labels: entry.labels,
    numRows,
    numBytes,
    numLongTermBytes: '0',
    numTotalLogicalBytes: numBytes,
    numActiveLogicalBytes: numBytes,
    numLongTermLogicalBytes: '0',
    creationTime: String(entry.createdAt),
    lastModifiedTime: String(entry.modifiedAt),
    expirationTime: entry.expiresAt === undefined ? undefined : String(entry.expiresAt),
    location,
    timePartitioning: partitioning,
    requirePartitionFilter: entry.requirePartitionFilter ? true : undefined,
    clustering: clustering === undefined ? undefined : { fields: clustering },
    streamingBuffer:
      buffer === undefined
        ? undefined
        : {
            estimatedRows: String(buffer.rows),
            estimatedBytes: String(buffer.rows * 100),
            oldestEntryTime: String(buffer.since),
          },
  })
}

function heading({ project }: Catalogue, { id, version }: TableEntry): Json {
  return {
    kind: 'bigquery#table',
    etag: `"${version}"`,
    id: `${project}:${id.dataset}.${id.table}`,
    selfLink: `/projects/${project}/datasets/${id.dataset}/tables/${id.table}`,
    tableReference: { projectId: project, datasetId: id.dataset, tableId: id.table },
    type: 'TABLE',
  }
}

/** A table as lists show it. */
export function listedTable(catalogue: Catalogue, entry: TableEntry): Json {
  return compact({
    ...heading(catalogue, entry),
    etag: undefined,
    labels: entry.labels,
    timePartitioning: entry.partitioning,
    clustering: entry.clustering === undefined ? undefined : { fields: entry.clustering },
    creationTime: String(entry.createdAt),
    expirationTime: entry.expiresAt === undefined ? undefined : String(entry.expiresAt),
  })
}

/** A dataset as the API shows it. */
export function datasetResource(project: string, dataset: Dataset): Json {
  const { id, defaultTableExpirationMs } = dataset
  return compact({
    kind: 'bigquery#dataset',
    etag: `"${dataset.version}"`,
    id: `${project}:${id}`,
    selfLink: `/projects/${project}/datasets/${id}`,
    datasetReference: { projectId: project, datasetId: id },
    description: dataset.description,
    labels: dataset.labels,
    defaultTableExpirationMs: defaultTableExpirationMs === undefined ? undefined : String(defaultTableExpirationMs),
    creationTime: String(dataset.createdAt),
    lastModifiedTime: String(dataset.modifiedAt),
    location: dataset.location,
    type: 'DEFAULT',
  })
}

/** How long tables of a dataset live; an hour at least. */
export function tableExpiration(body: Json): number | undefined {
  const ms = integer(body.defaultTableExpirationMs)
  if (ms !== undefined && ms < 3_600_000) throw new ApiError('invalid', 'Default table expiration must be at least 3600000 ms.')
  return ms
}

/** Throws unless the etag of the request is that of what it wants to change. */
export function mustBeCurrent(etag: string | undefined, { version }: { readonly version: number }): void {
  if (etag !== undefined && etag !== '*' && etag !== `"${version}"`) {
    throw new ApiError('conditionNotMet', 'Precondition Failed', 'If-Match')
  }
}
