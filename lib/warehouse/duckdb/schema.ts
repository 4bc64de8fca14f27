import { ConfigError } from '../../errors.ts'
import { type Column, type ColumnType, type Table, warehouseSchema } from '../../table.ts'
import type { Difference } from '../warehouse.ts'
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

/** The table beside it that keeps the rejects, quoted. */
export function rejectsName({ name }: Pick<Table, 'name'>): string {
  return tableName({ name: `${name}_rejects` })
}

/** What each client and day of a table was last written by. The fence: an older generation may not overwrite a newer one. */
export const SLICES = `${CATALOG}.headrace.slices`

/** Partitioning and clustering mean nothing to DuckDB; they are kept in the table's comment so that a change is noticed. */
function layout(table: Table): string {
  return JSON.stringify({ headrace: { partitionBy: table.partitionBy, clusterBy: table.clusterBy } })
}

/** The statements that create a table, the table of its rejects and, the first time, the table of slices. */
export function createStatements(table: Table): string[] {
  const [dataset = ''] = table.name.split('.')
  const columns = warehouseSchema(table).map(
    ({ name, type, mode }) => `${identifier(name)} ${DUCKDB_TYPES[type]}${mode === 'REQUIRED' ? ' NOT NULL' : ''}`,
  )
  return [
    `CREATE SCHEMA IF NOT EXISTS ${CATALOG}.${identifier(dataset)}`,
    `CREATE TABLE ${tableName(table)} (${columns.join(', ')})`,
    `COMMENT ON TABLE ${tableName(table)} IS ${literal(layout(table))}`,
    `CREATE SCHEMA IF NOT EXISTS ${CATALOG}.headrace`,
    `CREATE TABLE IF NOT EXISTS ${SLICES} (table_name VARCHAR NOT NULL, client_id VARCHAR NOT NULL, day DATE NOT NULL, ` +
      'generation BIGINT NOT NULL, attempt_id VARCHAR NOT NULL, rows BIGINT NOT NULL, published_at TIMESTAMPTZ NOT NULL)',
    `CREATE TABLE IF NOT EXISTS ${rejectsName(table)} (client_id VARCHAR NOT NULL, day DATE NOT NULL, column_name VARCHAR, ` +
      'rule VARCHAR NOT NULL, value VARCHAR, reason VARCHAR NOT NULL, record JSON NOT NULL, attempt_id VARCHAR NOT NULL, ' +
      'held BOOLEAN NOT NULL, rejected_at TIMESTAMPTZ NOT NULL)',
  ]
}

/**
 * Compares the table in the warehouse with its declaration. Returns whether it is there; throws `TABLE_MISMATCH` naming every
 * column that is missing, extra, differently typed, or differently required, and a different partitioning or clustering.
 */
export async function compareTable(query: Query, table: Table): Promise<boolean> {
  const [dataset = '', name = ''] = table.name.split('.')
  const where = `schema_name = ${literal(dataset)} AND table_name = ${literal(name)} AND database_name = '${CATALOG}'`
  const [found] = await query(`SELECT comment FROM duckdb_tables() WHERE ${where}`)
  if (found === undefined) return false
  const live = await query(
    `SELECT column_name, data_type, is_nullable FROM duckdb_columns() WHERE ${where} ORDER BY column_index`,
  )
  const differences = [
    ...columnDifferences(
      table,
      new Map(live.map(row => [String(row.column_name), { type: String(row.data_type), nullable: row.is_nullable === true }])),
    ),
    ...layoutDifferences(table, found.comment),
  ]
  if (differences.length === 0) return true
  throw new ConfigError('TABLE_MISMATCH', {
    message: `table ${table.name} differs from its declaration: ${differences.join('; ')}`,
    hint: 'Change the declaration or alter the table. headrace changes no existing table by itself; nothing was read or written.',
  })
}

function* columnDifferences(table: Table, live: ReadonlyMap<string, { type: string; nullable: boolean }>): Generator<Difference> {
  for (const [name, column] of Object.entries<Column>(table.columns)) {
    const found = live.get(name)
    if (found === undefined) {
      yield `column ${name} is missing`
      continue
    }
    const type = DUCKDB_TYPES[column.type]
    if (found.type !== type) yield `column ${name} is ${found.type}, declared ${column.type} (${type})`
    if (found.nullable !== column.nullable)
      yield `column ${name} is ${found.nullable ? 'nullable' : 'required'}, declared otherwise`
  }
  for (const name of live.keys()) if (!(name in table.columns)) yield `column ${name} is not declared`
}

function* layoutDifferences(table: Table, comment: unknown): Generator<Difference> {
  const live = parseLayout(comment)
  if (live === undefined) return
  if (live.partitionBy !== table.partitionBy) yield `it is partitioned by ${live.partitionBy}, declared ${table.partitionBy}`
  if (String(live.clusterBy) !== String(table.clusterBy)) {
    yield `it is clustered by ${live.clusterBy.join(', ')}, declared ${table.clusterBy.join(', ')}`
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
