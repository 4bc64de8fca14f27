import { type ColumnType, type Table, type WarehouseField, warehouseSchema } from '../../table.ts'
import { type Difference, missingColumn, mustNotDiffer, otherMode, wideningsOf, wideningText } from '../differences.ts'
import { REJECT_FIELDS, SLICE_FIELDS } from '../kept.ts'
import { CATALOG, type Query } from './database.ts'

/** The DuckDB type of each column type, as `duckdb_columns()` spells it. */
export const DUCKDB_TYPES: Readonly<Record<ColumnType, string>> = {
  STRING: 'VARCHAR',
  INT64: 'BIGINT',
  NUMERIC: 'DECIMAL(38,9)',
  FLOAT64: 'DOUBLE',
  BOOL: 'BOOLEAN',
  DATE: 'DATE',
  TIMESTAMP: 'TIMESTAMP WITH TIME ZONE',
  JSON: 'JSON',
}

/** A name in double quotes. */
export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** A text in single quotes. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

/** The table in full, quoted. */
export function tableName({ name }: Pick<Table, 'name'>): string {
  return [CATALOG, ...name.split('.').map(identifier)].join('.')
}

/** The table beside it that keeps the rejects. */
function rejectsOf({ name }: Pick<Table, 'name'>): string {
  return `${name}_rejects`
}

/** The same, quoted. */
export function rejectsName(table: Pick<Table, 'name'>): string {
  return tableName({ name: rejectsOf(table) })
}

/** What each client and day of a table was last written by. The fence: an older generation may not overwrite a newer one. */
export const SLICES = tableName({ name: 'headrace.slices' })

type Fields = readonly Omit<WarehouseField, 'description'>[]

/** DuckDB keeps the slices of all tables in one. */
const ALL_SLICE_FIELDS: Fields = [{ name: 'table_name', type: 'STRING', mode: 'REQUIRED' }, ...SLICE_FIELDS]

/** Which of what a table needs is there. */
export interface Found {
  readonly table: boolean
  readonly rejects: boolean
  readonly slices: boolean
}

/** What an empty database holds. */
export const NOTHING: Found = { table: false, rejects: false, slices: false }

/** Partitioning and clustering mean nothing to DuckDB; they are kept in the table's comment so that a change is noticed. */
function layout(table: Table): string {
  return JSON.stringify({ headrace: { partitionBy: table.partitionBy, clusterBy: table.clusterBy } })
}

/** The statements that create what is not there yet: the table, the table of its rejects, the table of slices. */
export function createStatements(table: Table, found: Found): string[] {
  return [
    ...(found.table
      ? []
      : [
          ...createTable(table.name, warehouseSchema(table)),
          `COMMENT ON TABLE ${tableName(table)} IS ${literal(layout(table))}`,
        ]),
    ...(found.rejects ? [] : createTable(rejectsOf(table), REJECT_FIELDS)),
    ...(found.slices ? [] : createTable('headrace.slices', ALL_SLICE_FIELDS)),
  ]
}

function createTable(name: string, fields: Fields): string[] {
  const [dataset = ''] = name.split('.')
  const columns = fields.map(
    field => `${identifier(field.name)} ${DUCKDB_TYPES[field.type]}${field.mode === 'REQUIRED' ? ' NOT NULL' : ''}`,
  )
  return [
    `CREATE SCHEMA IF NOT EXISTS ${CATALOG}.${identifier(dataset)}`,
    `CREATE TABLE ${tableName({ name })} (${columns.join(', ')})`,
  ]
}

/**
 * Looks for a table and what is kept beside it. Throws `TABLE_MISMATCH` naming every column that is missing, extra, differently typed, or
 * differently required, and a different partitioning or clustering.
 */
export async function lookFor(query: Query, table: Table): Promise<Found> {
  const [own, rejects, slices] = await inspect(query, table)
  for (const { name, differences } of [own, rejects, slices]) mustNotDiffer(name, differences ?? [])
  const isThere = ({ differences }: Inspected): boolean => differences !== undefined
  return { table: isThere(own), rejects: isThere(rejects), slices: isThere(slices) }
}

/** What widens a table and what is kept beside it: the statements, and a clause about each. */
export async function wideningStatements(query: Query, table: Table): Promise<{ readonly sql: string; readonly text: string }[]> {
  return (await inspect(query, table)).flatMap(({ name, fields, differences = [] }) =>
    wideningsOf(differences).flatMap(widening => {
      const field = fields.find(one => one.name === widening.column)
      if (field === undefined) return []
      const column = identifier(field.name)
      const action =
        widening.change === 'add' ? `ADD COLUMN ${column} ${DUCKDB_TYPES[field.type]}` : `ALTER COLUMN ${column} DROP NOT NULL`
      return [{ sql: `ALTER TABLE ${tableName({ name })} ${action}`, text: wideningText(name, widening) }]
    }),
  )
}

/** A table that is declared, and how what is there differs from it; no differences at all where nothing is there. */
interface Inspected {
  readonly name: string
  readonly fields: Fields
  readonly differences: readonly Difference[] | undefined
}

/** The table, that of its rejects, that of the slices. */
async function inspect(query: Query, table: Table): Promise<readonly [Inspected, Inspected, Inspected]> {
  const datasets = [table.name, 'headrace.'].map(name => literal((name.split('.')[0] ?? '').toLowerCase()))
  const where = `WHERE database_name = '${CATALOG}' AND lower(schema_name) IN (${datasets.join(', ')})`
  const relations = await query(
    `SELECT schema_name, table_name, comment, false AS is_view FROM duckdb_tables() ${where} ` +
      `UNION ALL SELECT schema_name, view_name, NULL, true FROM duckdb_views() ${where}`,
  )
  const columns = await query(
    `SELECT schema_name, table_name, column_name, data_type, is_nullable FROM duckdb_columns() ${where}`,
  )

  function compare(name: string, fields: Fields, more: (comment: unknown) => Iterable<Difference> = () => []): Inspected {
    // DuckDB finds names whatever their case, so a table that differs only in that is the one.
    const same = (row: Record<string, unknown>): boolean =>
      `${row.schema_name}.${row.table_name}`.toLowerCase() === name.toLowerCase()
    const found = relations.find(same)
    if (found === undefined) return { name, fields, differences: undefined }
    if (found.is_view) return { name, fields, differences: [{ clause: 'it is a view' }] }
    const live = columns.filter(same).map(liveColumn)
    return { name, fields, differences: [...columnDifferences(fields, live), ...more(found.comment)] }
  }

  return [
    compare(table.name, warehouseSchema(table), comment => layoutDifferences(table, comment)),
    compare(rejectsOf(table), REJECT_FIELDS),
    compare('headrace.slices', ALL_SLICE_FIELDS),
  ]
}

/** A column as DuckDB describes it. */
interface LiveColumn {
  readonly name: string
  readonly type: string
  readonly nullable: boolean
}

function liveColumn({ column_name, data_type, is_nullable }: Record<string, unknown>): LiveColumn {
  return { name: String(column_name), type: String(data_type), nullable: is_nullable === true }
}

function* columnDifferences(fields: Fields, live: readonly LiveColumn[]): Generator<Difference> {
  for (const field of fields) {
    const { name, type: declared, mode } = field
    const found = live.find(column => column.name === name)
    if (found === undefined) {
      yield missingColumn(field)
      continue
    }
    const type = DUCKDB_TYPES[declared]
    if (found.type !== type) yield { clause: `column ${name} is ${found.type}, declared ${declared} (${type})` }
    if (found.nullable !== (mode === 'NULLABLE')) yield otherMode(field)
  }
  for (const { name } of live) if (!fields.some(field => field.name === name)) yield { clause: `column ${name} is not declared` }
}

function* layoutDifferences(table: Table, comment: unknown): Generator<Difference> {
  const live = parseLayout(comment)
  if (live === undefined) return
  if (live.partitionBy !== table.partitionBy)
    yield { clause: `it is partitioned by ${live.partitionBy}, declared ${table.partitionBy}` }
  if (String(live.clusterBy) !== String(table.clusterBy)) {
    yield { clause: `it is clustered by ${live.clusterBy.join(', ')}, declared ${table.clusterBy.join(', ')}` }
  }
}

/** The layout in a comment that headrace wrote; a table that somebody else made has none, and any layout is then right. */
function parseLayout(comment: unknown): { partitionBy: string; clusterBy: string[] } | undefined {
  if (typeof comment !== 'string' || !comment.startsWith('{')) return undefined
  try {
    const parsed: { headrace?: { partitionBy: string; clusterBy: string[] } } = JSON.parse(comment)
    return parsed.headrace
  } catch {
    return undefined
  }
}
