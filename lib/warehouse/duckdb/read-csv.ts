import type { ColumnType, Table } from '../../table.ts'
import { CSV_DIALECT, stagedColumns } from './csv.ts'
import { DUCKDB_TYPES, identifier, literal, tableName } from './schema.ts'

/** The DuckDB type staged text is read as, by column type. */
export type StagedTypes = Readonly<Record<ColumnType, string>>

/**
 * Decimals are read as 18 digits first: DuckDB converts text to its 38-digit type an order of magnitude slower, and few numbers need it. The
 * column keeps its full type.
 */
export const NARROW_TYPES: StagedTypes = { ...DUCKDB_TYPES, NUMERIC: 'DECIMAL(18,9)' }

/** What reads staged files, as the text of a FROM clause; `longest` is in bytes, and no line may be longer. */
export function readCsv(files: readonly string[], types: Readonly<Record<string, string>>, longest: number): string {
  // A buffer no larger than needed keeps memory flat.
  const line = Math.max(1_000_000, longest)
  const columns = Object.entries(types).map(([name, type]) => `${literal(name)}: ${literal(type)}`)
  return (
    `read_csv([${files.map(literal).join(', ')}], columns = {${columns.join(', ')}}, ${CSV_DIALECT}, ` +
    `max_line_size = ${line}, buffer_size = ${2 * line})`
  )
}

/** The statement that inserts staged files. */
export function insertStaged(table: Table, files: readonly string[], longest: number, staged: StagedTypes): string {
  const names = stagedColumns(table)
  const type = (types: StagedTypes, name: string): string => types[table.columns[name]?.type ?? 'STRING']
  const types = Object.fromEntries(names.map(name => [name, type(staged, name)]))
  // The casts are spelled out: left to the INSERT, DuckDB pushes them down into the slow conversion of text.
  const values = names.map(name => `${identifier(name)}::${type(DUCKDB_TYPES, name)} AS ${identifier(name)}`)
  return `INSERT INTO ${tableName(table)} BY NAME SELECT ${values.join(', ')} FROM ${readCsv(files, types, longest)}`
}
