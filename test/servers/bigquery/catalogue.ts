import type { Clock } from './clock.ts'
import type { Duck } from './duck.ts'
import { ApiError } from './errors.ts'
import type { Json } from './json.ts'
import { duckType, type Field, quote } from './types.ts'

/** Which table: a dataset and a name, inside the one project of the server. */
export interface TableId {
  readonly dataset: string
  readonly table: string
}

/** How a table is cut into partitions. */
export interface Partitioning {
  readonly type: 'DAY' | 'MONTH' | 'YEAR'
  readonly field: string
  readonly expirationMs?: string
}

/** What the service knows of a table besides its rows. */
export interface TableEntry {
  readonly id: TableId
  fields: readonly Field[]
  readonly partitioning: Partitioning | undefined
  readonly clustering: readonly string[] | undefined
  requirePartitionFilter: boolean
  /** Milliseconds since 1970; never, if undefined. */
  expiresAt: number | undefined
  labels: Json | undefined
  description: string | undefined
  readonly createdAt: number
  modifiedAt: number
  /** Changes with every change of what is described here. */
  version: number
  /** The streaming buffer: rows that SELECT sees and that nothing may change yet. */
  buffer: { rows: number; since: number; moved?: Promise<void> } | undefined
}

/** A dataset and what new tables in it get. */
export interface Dataset {
  readonly id: string
  readonly location: string
  readonly tables: Map<string, TableEntry>
  readonly createdAt: number
  modifiedAt: number
  version: number
  defaultTableExpirationMs: number | undefined
  labels: Json | undefined
  description: string | undefined
}

/** A table to be created. */
export type Draft = Pick<
  TableEntry,
  'fields' | 'partitioning' | 'clustering' | 'requirePartitionFilter' | 'expiresAt' | 'labels' | 'description'
>

/** Datasets and tables by name. Names differ by case, as they do in the service; DuckDB's do not, and two that differ only so are refused. */
export class Catalogue {
  readonly project: string
  readonly location: string
  readonly #datasets = new Map<string, Dataset>()
  readonly #duck: Duck
  readonly #clock: Clock
  #versions = 0

  constructor(project: string, location: string, duck: Duck, clock: Clock) {
    this.location = location
    this.project = project
    this.#duck = duck
    this.#clock = clock
  }

  get datasets(): readonly Dataset[] {
    return [...this.#datasets.values()]
  }

  dataset(id: string): Dataset {
    const dataset = this.#datasets.get(id)
    if (dataset === undefined) throw new ApiError('notFound', `Not found: Dataset ${this.project}:${id}`)
    return dataset
  }

  async createDataset(id: string, details: Pick<Dataset, 'location' | 'defaultTableExpirationMs' | 'labels' | 'description'>) {
    if (!/^[A-Za-z0-9_]{1,1024}$/.test(id)) throw new ApiError('invalid', `Invalid dataset ID "${id}".`)
    if (this.#datasets.has(id)) throw new ApiError('duplicate', `Already Exists: Dataset ${this.project}:${id}`)
    mustBeDistinct(id, [...this.#datasets.keys(), 'main', '_buffer', 'information_schema', 'pg_catalog', 'temp', 'system'])
    const now = this.#clock.now()
    const dataset = { ...details, id, tables: new Map(), createdAt: now, modifiedAt: now, version: this.#version() }
    this.#datasets.set(id, dataset)
    await this.#run(`CREATE SCHEMA IF NOT EXISTS ${quote(id)}`)
    return dataset
  }

  async deleteDataset(id: string, withContents: boolean): Promise<void> {
    const dataset = this.dataset(id)
    const alive = [...dataset.tables.values()].filter(entry => !this.#isExpired(entry))
    if (alive.length > 0 && !withContents) {
      throw new ApiError('resourceInUse', `Dataset ${this.project}:${id} is still in use`)
    }
    this.#datasets.delete(id)
    for (const { id: table } of dataset.tables.values()) await this.#run(`DROP TABLE IF EXISTS ${bufferName(table)}`)
    await this.#run(`DROP SCHEMA ${quote(id)} CASCADE`)
  }

  /** The table, unless it is not there or has expired. */
  find(id: TableId): TableEntry | undefined {
    const entry = this.#datasets.get(id.dataset)?.tables.get(id.table)
    return entry === undefined || this.#isExpired(entry) ? undefined : entry
  }

  table(id: TableId): TableEntry {
    this.dataset(id.dataset)
    const entry = this.find(id)
    if (entry === undefined) throw new ApiError('notFound', `Not found: Table ${this.display(id)}`)
    return entry
  }

  /** The tables of a dataset, by name. */
  tables(dataset: string): TableEntry[] {
    const { tables } = this.dataset(dataset)
    return [...tables.values()].filter(entry => !this.#isExpired(entry)).sort((a, b) => (a.id.table < b.id.table ? -1 : 1))
  }

  /** Creates a table; `replace` allows one of that name to be there. */
  async createTable(id: TableId, draft: Draft, replace = false): Promise<TableEntry> {
    const dataset = this.dataset(id.dataset)
    if (!/^[\p{L}\p{M}\p{N}_ -]{1,1024}$/u.test(id.table)) throw new ApiError('invalid', `Invalid table ID "${id.table}".`)
    if (!replace && this.find(id) !== undefined) throw new ApiError('duplicate', `Already Exists: Table ${this.display(id)}`)
    mustBeDistinct(id.table, [...dataset.tables.keys()])
    if (draft.fields.length === 0)
      throw new ApiError('notImplemented', 'A table without a schema is not known to this local server')
    this.#mustHave(draft)
    const now = this.#clock.now()
    const { defaultTableExpirationMs } = dataset
    const entry: TableEntry = {
      ...draft,
      id,
      expiresAt: draft.expiresAt ?? (defaultTableExpirationMs === undefined ? undefined : now + defaultTableExpirationMs),
      createdAt: now,
      modifiedAt: now,
      version: this.#version(),
      buffer: undefined,
    }
    // The name is taken before DuckDB is asked: of two requests at once, one must be told that it exists.
    dataset.tables.set(id.table, entry)
    await this.#run(`DROP TABLE IF EXISTS ${bufferName(id)}`)
    await this.#run(createStatement(id, draft.fields))
    return entry
  }

  async deleteTable(id: TableId): Promise<void> {
    this.table(id)
    this.dataset(id.dataset).tables.delete(id.table)
    await this.#run(`DROP TABLE IF EXISTS ${tableName(id)}`)
    await this.#run(`DROP TABLE IF EXISTS ${bufferName(id)}`)
  }

  /** Adds columns, or makes them nullable: all that a schema may do to a table. */
  async changeFields(entry: TableEntry, fields: readonly Field[]): Promise<void> {
    const refuse = (why: string): never => {
      throw new ApiError('invalid', `Provided Schema does not match Table ${this.display(entry.id)}. ${why}`)
    }
    for (const { name, type, mode } of entry.fields) {
      const wanted = fields.find(field => field.name.toLowerCase() === name.toLowerCase())
      if (wanted === undefined) return refuse(`Field ${name} is missing in new schema`)
      if (wanted.type !== type) return refuse(`Field ${name} has changed type from ${type} to ${wanted.type}`)
      if (wanted.mode === 'REQUIRED' && mode === 'NULLABLE') {
        return refuse(`Field ${name} has changed mode from NULLABLE to REQUIRED`)
      }
    }
    const added = fields.filter(field => !entry.fields.some(({ name }) => name.toLowerCase() === field.name.toLowerCase()))
    for (const field of added)
      if (field.mode === 'REQUIRED') return refuse(`Cannot add required fields to an existing schema. (field: ${field.name})`)
    const relaxed = fields.filter(
      ({ name, mode }) => mode === 'NULLABLE' && entry.fields.find(field => field.name === name)?.mode === 'REQUIRED',
    )
    const names = entry.buffer === undefined ? [tableName(entry.id)] : [tableName(entry.id), bufferName(entry.id)]
    for (const table of names) {
      for (const field of added) await this.#run(`ALTER TABLE ${table} ADD COLUMN ${columnOf(field)}`)
      for (const { name } of relaxed) await this.#run(`ALTER TABLE ${table} ALTER COLUMN ${quote(name)} DROP NOT NULL`)
    }
    const kept = entry.fields.map(({ name }) => fields.find(field => field.name.toLowerCase() === name.toLowerCase()))
    entry.fields = [...kept.filter(field => field !== undefined), ...added]
  }

  /** Says that something about the table, or in it, has changed. */
  touch(entry: { modifiedAt: number; version: number }): void {
    entry.modifiedAt = this.#clock.now()
    entry.version = this.#version()
  }

  /** The name as messages have it. */
  display({ dataset, table }: TableId): string {
    return `${this.project}:${dataset}.${table}`
  }

  #mustHave({ fields, partitioning, clustering }: Draft): void {
    const day = partitioning === undefined ? undefined : fields.find(({ name }) => name === partitioning.field)
    if (partitioning !== undefined && day === undefined) {
      throw new ApiError('invalid', `The field specified for partitioning cannot be found in the schema: ${partitioning.field}`)
    }
    if (day !== undefined && day.type !== 'DATE' && day.type !== 'TIMESTAMP') {
      throw new ApiError('invalid', `The field specified for time partitioning has type ${day.type}, which is not supported`)
    }
    for (const column of clustering ?? []) {
      if (!fields.some(({ name }) => name === column)) {
        throw new ApiError('invalid', `The field specified for clustering cannot be found in the schema: ${column}`)
      }
    }
  }

  #isExpired({ expiresAt }: TableEntry): boolean {
    return expiresAt !== undefined && expiresAt <= this.#clock.now()
  }

  #version(): number {
    return ++this.#versions
  }

  async #run(sql: string): Promise<void> {
    await this.#duck.use(session => session.run(sql))
  }
}

/** The table in DuckDB. */
export function tableName({ dataset, table }: TableId): string {
  return `${quote(dataset)}.${quote(table)}`
}

/** Where DuckDB keeps the rows of its streaming buffer. */
export function bufferName({ dataset, table }: TableId): string {
  return `_buffer.${quote(`${dataset}.${table}`)}`
}

/** Creates the table in DuckDB, in the place of one that may be there. */
export function createStatement(id: TableId, fields: readonly Field[]): string {
  return `CREATE OR REPLACE TABLE ${tableName(id)} (${fields.map(columnOf).join(', ')})`
}

function columnOf({ name, type, mode }: Field): string {
  return `${quote(name)} ${duckType(type)}${mode === 'REQUIRED' ? ' NOT NULL' : ''}`
}

function mustBeDistinct(name: string, taken: readonly string[]): void {
  const other = taken.find(one => one !== name && one.toLowerCase() === name.toLowerCase())
  if (other !== undefined) {
    throw new ApiError(
      'notImplemented',
      `${name} and ${other} differ only in case, or ${other} is reserved: not possible in this local server`,
    )
  }
}
