import { type ColumnType, type Table, warehouseSchema } from '../../table.ts'
import { type Difference, missingColumn, mustNotDiffer, otherMode, type Widening } from '../differences.ts'
import { REJECT_FIELDS, SLICE_FIELDS } from '../kept.ts'
import { type TableId, type TableNames, tableText } from './names.ts'

/** A field as tables and load jobs declare it. */
export interface Field {
  readonly name: string
  readonly type: string
  readonly mode: 'REQUIRED' | 'NULLABLE'
  readonly description?: string
}

/** A table as it is created. */
export interface TableResource {
  readonly tableReference: { readonly projectId: string; readonly datasetId: string; readonly tableId: string }
  readonly schema: { readonly fields: readonly Field[] }
  readonly description?: string
  readonly timePartitioning?: { readonly type: 'DAY'; readonly field: string; readonly expirationMs?: string }
  readonly clustering?: { readonly fields: readonly string[] }
  readonly requirePartitionFilter?: boolean
}

/** What must be created, as BigQuery takes it; `partitionBy` and `clusterBy` are compared as well. */
export interface Declared {
  readonly id: TableId
  readonly fields: readonly Field[]
  readonly partitionBy: string
  readonly clusterBy: readonly string[]
  readonly description?: string | undefined
  /** Whether a query must say which days it wants. */
  readonly filtered: boolean
  /** How long its days are kept; for ever when absent. */
  readonly partitionExpirationMs?: string
}

/** Longest description that BigQuery keeps. */
const LONGEST_DESCRIPTION = 1_024

/** The declared table as BigQuery is to have it. */
export function declaredTable(table: Table, { target }: TableNames): Declared {
  const fields = warehouseSchema(table).map(({ description, ...field }) => ({
    ...field,
    ...(description === undefined ? {} : { description: description.slice(0, LONGEST_DESCRIPTION) }),
  }))
  const { partitionBy, clusterBy, description } = table
  return { id: target, fields, partitionBy, clusterBy, description, filtered: true }
}

/** What is kept beside a table: its slices and its rejects. */
export function besides({ slices, rejects }: TableNames): { readonly slices: Declared; readonly rejects: Declared } {
  const layout = { partitionBy: 'day', clusterBy: ['client_id'], filtered: false }
  return {
    slices: { id: slices, fields: SLICE_FIELDS, ...layout },
    rejects: { id: rejects, fields: REJECT_FIELDS, ...layout },
  }
}

/** The table as it is asked for. */
export function resourceOf(declared: Declared): TableResource {
  const { id, fields, partitionBy, clusterBy, description, filtered, partitionExpirationMs: expirationMs } = declared
  return {
    tableReference: { projectId: id.project, datasetId: id.dataset, tableId: id.table },
    schema: { fields },
    ...(description === undefined ? {} : { description }),
    timePartitioning: { type: 'DAY', field: partitionBy, ...(expirationMs === undefined ? {} : { expirationMs }) },
    ...(clusterBy.length === 0 ? {} : { clustering: { fields: clusterBy } }),
    requirePartitionFilter: filtered,
  }
}

/** What BigQuery cannot do of what a table declares. */
export function unfit(table: Table): string[] {
  const { columns, clusterBy } = table
  return [
    ...(clusterBy.length > 4 ? [`it is clustered by ${clusterBy.length} columns, BigQuery knows 4`] : []),
    ...clusterBy
      .filter(name => ['FLOAT64', 'JSON'].includes(columns[name]?.type ?? ''))
      .map(name => `it is clustered by ${name}, a ${columns[name]?.type}`),
    ...table.key
      .filter(name => columns[name]?.type === 'FLOAT64')
      .map(name => `its key has ${name}, a FLOAT64, which cannot be compared`),
    ...Object.keys(columns)
      .filter(name => /^(_TABLE_|_FILE_|_PARTITION|_ROW_TIMESTAMP|__ROOT__|_COLIDENTIFIER)/i.test(name))
      .map(name => `column ${name} begins like those BigQuery keeps for itself`),
  ]
}

/** A table as BigQuery describes it; what is absent has its default. */
export interface LiveTable {
  /** Changes with every change of the table. */
  readonly etag?: string
  readonly type?: string
  readonly schema?: { readonly fields?: readonly LiveField[] }
  /** The filter was once a property of the partitioning, and old tables still say so. */
  readonly timePartitioning?: { readonly type?: string; readonly field?: string; readonly requirePartitionFilter?: boolean }
  readonly requirePartitionFilter?: boolean
  readonly rangePartitioning?: unknown
  readonly clustering?: { readonly fields?: readonly string[] }
}

/** A field as BigQuery describes it. */
export interface LiveField {
  readonly name?: string
  readonly type?: string
  readonly mode?: string
  readonly precision?: string
  readonly scale?: string
  readonly maxLength?: string
}

/** The names that BigQuery still answers with. */
const LEGACY: Readonly<Record<string, ColumnType>> = { INTEGER: 'INT64', FLOAT: 'FLOAT64', BOOLEAN: 'BOOL' }

/** Throws `TABLE_MISMATCH` when the table differs from what is declared, with every difference. */
export function mustMatch(declared: Declared, live: LiveTable): void {
  mustNotDiffer(tableText(declared.id), differencesOf(declared, live))
}

/** Every difference between what is declared and what is there. */
export function differencesOf(declared: Declared, live: LiveTable): Difference[] {
  const { type = 'TABLE' } = live
  if (type !== 'TABLE') return [{ clause: `it is a ${type.toLowerCase().replaceAll('_', ' ')}` }]
  return [...fieldDifferences(declared.fields, live.schema?.fields ?? []), ...layoutDifferences(declared, live)]
}

/** The fields of a table after it was widened; what is there stays as BigQuery describes it. */
export function widenedFields({ fields }: Declared, live: LiveTable, widenings: readonly Widening[]): (Field | LiveField)[] {
  const among = (change: Widening['change'], name = ''): boolean =>
    widenings.some(widening => widening.change === change && widening.column.toLowerCase() === name.toLowerCase())
  return [
    ...(live.schema?.fields ?? []).map(field => (among('relax', field.name) ? { ...field, mode: 'NULLABLE' } : field)),
    ...fields.filter(({ name }) => among('add', name)),
  ]
}

/** Whether a query may read the table without saying which days it wants, although it is declared otherwise. */
export function isUnfiltered({ filtered }: Declared, { requirePartitionFilter, timePartitioning }: LiveTable): boolean {
  return filtered && requirePartitionFilter !== true && timePartitioning?.requirePartitionFilter !== true
}

function* fieldDifferences(fields: readonly Field[], live: readonly LiveField[]): Generator<Difference> {
  for (const field of fields) {
    const { name, type, mode } = field
    const found = live.find(one => one.name?.toLowerCase() === name.toLowerCase())
    if (found === undefined) {
      yield missingColumn(field)
      continue
    }
    const is = LEGACY[found.type ?? ''] ?? found.type
    if (is !== type) yield { clause: `column ${name} is ${is}, declared ${type}` }
    const { mode: has = 'NULLABLE', precision, scale, maxLength } = found
    if (has === 'REPEATED') yield { clause: `column ${name} is an array` }
    else if (has !== mode) yield otherMode(field)
    if (precision !== undefined) yield { clause: `column ${name} holds only (${precision}, ${scale ?? 0}) digits` }
    if (maxLength !== undefined) yield { clause: `column ${name} holds only ${maxLength} characters` }
  }
  for (const { name = '' } of live) {
    if (!fields.some(field => field.name.toLowerCase() === name.toLowerCase())) yield { clause: `column ${name} is not declared` }
  }
}

function* layoutDifferences({ partitionBy, clusterBy }: Declared, live: LiveTable): Generator<Difference> {
  const { type, field } = live.timePartitioning ?? {}
  const by = live.rangePartitioning !== undefined ? 'a range of numbers' : (field ?? (type && 'the time of loading'))
  if (by === undefined) yield { clause: `it is not partitioned, declared by ${partitionBy}` }
  else if (by !== partitionBy) yield { clause: `it is partitioned by ${by}, declared ${partitionBy}` }
  else if (type !== 'DAY' && type !== 'MONTH') yield { clause: `it is partitioned by ${type}, declared by DAY` }
  const clusters = live.clustering?.fields ?? []
  if (String(clusters) !== String(clusterBy)) {
    yield { clause: `it is clustered by ${clusters.join(', ') || 'nothing'}, declared ${clusterBy.join(', ') || 'nothing'}` }
  }
}
