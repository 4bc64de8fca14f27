import type { Table } from '../../table.ts'

/** Where a table is. */
export interface TableId {
  readonly project: string
  readonly dataset: string
  readonly table: string
}

/** A name in backticks. Names of columns and tables are checked identifiers before they come here. */
export function identifier(name: string): string {
  return `\`${name}\``
}

/** A table in full, in backticks. */
export function tablePath({ project, dataset, table }: TableId): string {
  return identifier(`${project}.${dataset}.${table}`)
}

/** A table in full, as messages name it. */
export function tableText({ project, dataset, table }: TableId): string {
  return `${project}.${dataset}.${table}`
}

/** The declared table, and what is kept beside it. */
export interface TableNames {
  readonly target: TableId
  /** Keeps the rejects. */
  readonly rejects: TableId
  /**
   * What each client and day was last written by. One per table: transactions of BigQuery exclude each other per table, and one for all
   * tables would make all of them wait for each other.
   */
  readonly slices: TableId
}

/** Where a declared table and what is kept beside it are. */
export function namesOf(project: string, { name }: Pick<Table, 'name'>): TableNames {
  const [dataset = '', table = ''] = name.split('.')
  return {
    target: { project, dataset, table },
    rejects: { project, dataset, table: `${table}_rejects` },
    slices: { project, dataset, table: `${table}_slices` },
  }
}
