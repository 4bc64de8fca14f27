import { chunkText, type Day, daysOf } from '../../chunk.ts'
import { DataError, HeadraceError, isDiskFull, TransientError } from '../../errors.ts'
import type { ColumnType, Table } from '../../table.ts'
import { type DayChange, type DayCount, divergence, GroupRefused, type Member, type Publication } from '../warehouse.ts'
import { CSV_DIALECT, REJECT_COLUMNS, stagedColumns } from './csv.ts'
import type { Turn } from './database.ts'
import { DUCKDB_TYPES, identifier, literal, rejectsName, SLICES, tableName } from './schema.ts'
import type { StagingFolder } from './staging.ts'

/** The DuckDB type staged text is read as, by column type. */
export type StagedTypes = Readonly<Record<ColumnType, string>>

/**
 * Decimals are read as 18 digits first: DuckDB converts text to its 38-digit type an order of magnitude slower, and few numbers need it. The
 * column keeps its full type.
 */
export const NARROW_TYPES: StagedTypes = { ...DUCKDB_TYPES, NUMERIC: 'DECIMAL(18,9)' }

/** Publishes the members of a group in one transaction. See `Warehouse.commit`. */
export async function commitGroup(
  turn: Turn,
  table: Table,
  totals: readonly string[],
  members: readonly Member[],
  folder: StagingFolder,
  staged: StagedTypes,
): Promise<Publication[]> {
  const group = new Group(turn, table, totals, members, folder, staged)
  await turn.run('BEGIN TRANSACTION')
  let work: Work
  try {
    work = await group.write()
    await turn.run('COMMIT')
  } catch (error) {
    // After a failed COMMIT there is nothing left to roll back, and the first error is the one that matters.
    await turn.run('ROLLBACK').catch(() => 0)
    throw commitFailed(table, error)
  }
  return group.publications(work, await group.counts())
}

interface Work {
  readonly before: readonly DayCount[]
  readonly publishing: readonly Member[]
  readonly changes: ReadonlyMap<string, readonly DayChange[]>
}

class Group {
  readonly #turn: Turn
  readonly #table: Table
  readonly #totals: readonly string[]
  readonly #members: readonly Member[]
  readonly #folder: StagingFolder
  readonly #staged: StagedTypes
  readonly #name: string
  readonly #day: string
  /** Limits every statement to the clients and days of the group, so that DuckDB reads only where they are. */
  readonly #where: string

  constructor(
    turn: Turn,
    table: Table,
    totals: readonly string[],
    members: readonly Member[],
    folder: StagingFolder,
    staged: StagedTypes,
  ) {
    this.#staged = staged
    this.#turn = turn
    this.#table = table
    this.#totals = totals
    this.#members = members
    this.#folder = folder
    this.#name = tableName(table)
    this.#day = `t.${identifier(table.partitionBy)}`
    const clients = [...new Set(members.map(({ chunk }) => literal(chunk.client)))].join(', ')
    const first = members.reduce((least, { chunk }) => (chunk.window.from < least ? chunk.window.from : least), '9999-12-31')
    const last = members.reduce((most, { chunk }) => (chunk.window.to > most ? chunk.window.to : most), '0001-01-01')
    this.#where = `t.client_id IN (${clients}) AND ${this.#day} BETWEEN DATE ${literal(first)} AND DATE ${literal(last)}`
  }

  async write(): Promise<Work> {
    await this.#listSlices('slice', this.#members)
    await this.#refuseFenced()
    const before = await this.counts()
    const publishing = this.#members.filter(
      member => member.intent === 'publish' || (member.intent === 'confirm' && divergence(member, before).length > 0),
    )
    await this.#listSlices('publishing', publishing)
    let changes: Work['changes'] = new Map()
    if (publishing.length > 0) {
      await this.#keepRestated(publishing)
      await this.#replaceRows(publishing)
      await this.#refuseDuplicateKeys(publishing)
      changes = await this.#changes(publishing)
      await this.#raiseFence(publishing)
    }
    await this.#replaceRejects([...publishing, ...this.#members.filter(({ intent }) => intent === 'rejects')])
    return { before, publishing, changes }
  }

  publications({ before, publishing, changes }: Work, after: readonly DayCount[]): Publication[] {
    return this.#members.map(member => {
      const mine = ({ client, day }: DayCount): boolean =>
        client === member.chunk.client && day >= member.chunk.window.from && day <= member.chunk.window.to
      const published = publishing.includes(member)
      const rows = (counts: readonly DayCount[]): number => counts.filter(mine).reduce((sum, count) => sum + count.rows, 0)
      return {
        attemptId: member.attemptId,
        outcome: published ? 'published' : member.intent === 'rejects' ? 'rejects' : 'unchanged',
        deleted: published ? rows(before) : 0,
        inserted: published ? member.days.reduce((sum, day) => sum + day.rows, 0) : 0,
        present: after.filter(mine),
        changes: changes.get(member.attemptId) ?? [],
      }
    })
  }

  /** What the table holds for the slices of the group. Counted first and matched with the slices then: a join before would cost more than the count. */
  async counts(): Promise<DayCount[]> {
    const sums = this.#totals.map(column => `, sum(t.${identifier(column)}) AS ${identifier(`total ${column}`)}`).join('')
    const rows = await this.#turn.query(
      `SELECT c.* REPLACE (c.day::VARCHAR AS day) FROM (SELECT t.client_id AS client, ${this.#day} AS day, count(*) AS rows${sums} ` +
        `FROM ${this.#name} t WHERE ${this.#where} GROUP BY 1, 2) c ` +
        'SEMI JOIN slice s ON c.client = s.client_id AND c.day BETWEEN s.first AND s.last',
    )
    return rows.map(row => dayCount(row, this.#totals))
  }

  async #listSlices(name: 'slice' | 'publishing', members: readonly Member[]): Promise<void> {
    const values = members.map(({ attemptId, generation, chunk: { client, window } }) =>
      [
        literal(attemptId),
        literal(client),
        `DATE ${literal(window.from)}`,
        `DATE ${literal(window.to)}`,
        String(generation),
      ].join(', '),
    )
    await this.#turn.run(
      `CREATE OR REPLACE TEMP TABLE ${name} (attempt_id VARCHAR, client_id VARCHAR, first DATE, last DATE, generation BIGINT)`,
    )
    if (values.length > 0) await this.#turn.run(`INSERT INTO ${name} VALUES ${values.map(value => `(${value})`).join(', ')}`)
  }

  async #refuseFenced(): Promise<void> {
    const fenced = await this.#turn.query(
      `SELECT DISTINCT g.attempt_id, max(s.generation) AS newer FROM slice g JOIN ${SLICES} s ON s.client_id = g.client_id ` +
        `AND s.day BETWEEN g.first AND g.last WHERE s.table_name = ${literal(this.#table.name)} AND s.generation > g.generation GROUP BY 1`,
    )
    this.#refuse(
      fenced.map(({ attempt_id, newer }) => [
        String(attempt_id),
        member =>
          new TransientError('FENCED', {
            message: `${chunkText(member.chunk)}: attempt ${member.attemptId} is of generation ${member.generation}, the table holds ${newer}`,
            hint: 'A newer attempt published these days while this one was stalled. Nothing was overwritten.',
          }),
      ]),
    )
  }

  async #keepRestated(publishing: readonly Member[]): Promise<void> {
    const days = publishing.flatMap(({ chunk, restated }) =>
      restated.map(day => `(${literal(chunk.client)}, DATE ${literal(day)})`),
    )
    if (days.length === 0) return
    await this.#turn.run('CREATE OR REPLACE TEMP TABLE restated (client_id VARCHAR, day DATE)')
    await this.#turn.run(`INSERT INTO restated VALUES ${days.join(', ')}`)
    await this.#turn.run(`CREATE OR REPLACE TEMP TABLE restated_before AS ${this.#restatedRows()}`)
  }

  #restatedRows(): string {
    return `SELECT t.* FROM ${this.#name} t JOIN restated r ON t.client_id = r.client_id AND ${this.#day} = r.day WHERE ${this.#where}`
  }

  async #replaceRows(publishing: readonly Member[]): Promise<void> {
    const { columns } = this.#table
    await this.#turn.run(
      `DELETE FROM ${this.#name} t USING publishing p WHERE t.client_id = p.client_id ` +
        `AND ${this.#day} BETWEEN p.first AND p.last AND ${this.#where}`,
    )
    const names = stagedColumns(this.#table)
    const type = (types: StagedTypes, name: string): string => types[columns[name]?.type ?? 'STRING']
    const types = Object.fromEntries(names.map(name => [name, type(this.#staged, name)]))
    const files = publishing.map(({ attemptId }) => this.#folder.rows(attemptId))
    // The casts are spelled out: left to the INSERT, DuckDB pushes them down into the slow conversion of text.
    const values = names.map(name => `${identifier(name)}::${type(DUCKDB_TYPES, name)} AS ${identifier(name)}`)
    const inserted = await this.#turn.run(
      `INSERT INTO ${this.#name} BY NAME SELECT ${values.join(', ')} FROM ${this.#readCsv(files, types, publishing)}`,
    )
    const found = await this.counts()
    const expected = publishing.reduce((sum, { days }) => days.reduce((rows, day) => rows + day.rows, sum), 0)
    this.#refuse(
      publishing.flatMap(member => {
        const differences = divergence(member, found)
        return differences.length === 0 ? [] : [[member.attemptId, () => countDiverged(member, differences)]]
      }),
    )
    if (inserted !== expected) {
      throw new DataError('COUNT_DIVERGED', {
        message: `${this.#table.name}: ${expected} rows staged, ${inserted} inserted`,
        hint: 'Rolled back: the table is as it was. This is a defect of headrace or of what was staged; please report it.',
      })
    }
  }

  async #refuseDuplicateKeys(publishing: readonly Member[]): Promise<void> {
    const unchecked = publishing.filter(({ checkKey }) => checkKey)
    if (unchecked.length === 0) return
    const key = this.#table.key.map(column => `t.${identifier(column)}`).join(', ')
    const duplicated = await this.#turn.query(
      `SELECT attempt_id, count(*) AS keys FROM (SELECT p.attempt_id FROM ${this.#name} t JOIN publishing p ON t.client_id = p.client_id ` +
        `AND ${this.#day} BETWEEN p.first AND p.last WHERE ${this.#where} GROUP BY p.attempt_id, ${key} HAVING count(*) > 1) GROUP BY 1`,
    )
    this.#refuse(
      duplicated
        .filter(({ attempt_id }) => unchecked.some(({ attemptId }) => attemptId === attempt_id))
        .map(({ attempt_id, keys }) => [
          String(attempt_id),
          member =>
            new DataError('KEY_DUPLICATED', {
              message: `${chunkText(member.chunk)}: ${keys} keys (${this.#table.key.join(', ')}) occur more than once`,
              hint: 'Nothing was published. The chunk is too large to drop repeated rows on the way: use shorter windows, or a finer key.',
            }),
        ]),
    )
  }

  async #changes(publishing: readonly Member[]): Promise<Map<string, DayChange[]>> {
    const found = new Map<string, DayChange>()
    if (publishing.every(({ restated }) => restated.length === 0)) return new Map()
    for (const [side, query] of [
      ['added', `${this.#restatedRows()} EXCEPT ALL SELECT * FROM restated_before`],
      ['removed', `SELECT * FROM restated_before EXCEPT ALL ${this.#restatedRows()}`],
    ] as const) {
      const rows = await this.#turn.query(
        `SELECT t.client_id AS client, ${this.#day}::VARCHAR AS day, count(*) AS rows FROM (${query}) t GROUP BY 1, 2`,
      )
      for (const { client, day, rows: count } of rows) {
        const id = sliceId(String(client), String(day))
        found.set(id, { ...(found.get(id) ?? { day: String(day), added: 0, removed: 0 }), [side]: Number(count) })
      }
    }
    return new Map(
      publishing.map(({ attemptId, chunk, restated }) => [
        attemptId,
        restated.map(day => found.get(sliceId(chunk.client, day)) ?? { day, added: 0, removed: 0 }),
      ]),
    )
  }

  async #raiseFence(publishing: readonly Member[]): Promise<void> {
    const table = literal(this.#table.name)
    await this.#turn.run(
      `DELETE FROM ${SLICES} s USING publishing p WHERE s.table_name = ${table} AND s.client_id = p.client_id ` +
        'AND s.day BETWEEN p.first AND p.last',
    )
    const values = publishing.flatMap(({ attemptId, generation, chunk, days }) =>
      days.map(({ day, rows }) =>
        [table, literal(chunk.client), `DATE ${literal(day)}`, generation, literal(attemptId), rows, 'now()'].join(', '),
      ),
    )
    await this.#turn.run(`INSERT INTO ${SLICES} VALUES ${values.map(value => `(${value})`).join(', ')}`)
  }

  async #replaceRejects(members: readonly Member[]): Promise<void> {
    if (members.length === 0) return
    const name = rejectsName(this.#table)
    await this.#listSlices('publishing', members)
    await this.#turn.run(
      `DELETE FROM ${name} r USING publishing p WHERE r.client_id = p.client_id AND r.day BETWEEN p.first AND p.last`,
    )
    for (const { attemptId, chunk, days, intent } of members) {
      if (days.every(({ rejected }) => rejected === 0)) continue
      await this.#turn.run(
        `INSERT INTO ${name} BY NAME SELECT ${literal(chunk.client)} AS client_id, *, ${literal(attemptId)} AS attempt_id, ` +
          `${intent === 'rejects'} AS held, now() AS rejected_at FROM ` +
          this.#readCsv([this.#folder.rejects(attemptId)], REJECT_COLUMNS, members),
      )
    }
  }

  #readCsv(files: readonly string[], types: Readonly<Record<string, string>>, members: readonly Member[]): string {
    // No line is longer than the largest write; a buffer no larger than needed keeps memory flat.
    const longest = Math.max(1_000_000, ...members.map(({ attemptId }) => this.#folder.largestWrite(attemptId)))
    const columns = Object.entries(types).map(([name, type]) => `${literal(name)}: ${literal(type)}`)
    return (
      `read_csv([${files.map(literal).join(', ')}], columns = {${columns.join(', ')}}, ${CSV_DIALECT}, ` +
      `max_line_size = ${longest}, buffer_size = ${2 * longest})`
    )
  }

  #refuse(refusals: readonly (readonly [attemptId: string, error: (member: Member) => HeadraceError])[]): void {
    if (refusals.length === 0) return
    const byId = new Map(this.#members.map(member => [member.attemptId, member]))
    throw new GroupRefused(new Map(refusals.map(([attemptId, error]) => [attemptId, error(byId.get(attemptId) as Member)])))
  }
}

/** A row of a count query as a `DayCount`. */
export function dayCount(row: Record<string, unknown>, totals: readonly string[]): DayCount {
  return {
    client: String(row.client),
    day: String(row.day),
    rows: Number(row.rows),
    totals: Object.fromEntries(totals.map(column => [column, String(row[`total ${column}`])])),
  }
}

function sliceId(client: string, day: Day): string {
  return `${day} ${client}`
}

function countDiverged({ chunk }: Member, differences: readonly string[]): DataError {
  const more = differences.length > 5 ? ` and ${differences.length - 5} more of ${daysOf(chunk.window).length} days` : ''
  return new DataError('COUNT_DIVERGED', {
    message: `${chunkText(chunk)}: ${differences.slice(0, 5).join('; ')}${more}`,
    hint: 'Rolled back: the table is as it was. Nobody else should write to it; if nobody does, please report this.',
  })
}

function commitFailed(table: Table, error: unknown): Error {
  if (error instanceof HeadraceError || error instanceof GroupRefused) return error
  const message = error instanceof Error ? error.message : String(error)
  const safe = 'Rolled back: the table is as it was.'
  if (isDiskFull(error)) {
    return new TransientError('DISK_FULL', {
      message: `no space left to publish into ${table.name}`,
      hint: `${safe} Free space and run again.`,
      cause: error,
    })
  }
  if (/^(Conversion|Invalid Input|Constraint|Out of Range) Error/.test(message)) {
    return new DataError('STAGED_UNREADABLE', {
      message: `${table.name}: ${message.split('\n')[0]}`,
      hint: `${safe} Please report this.`,
      cause: error,
    })
  }
  const memory = /^Out of Memory Error/.test(message) ? ' Raise memoryLimit of the warehouse, or use shorter windows.' : ''
  return new TransientError('WAREHOUSE_FAILED', {
    message: `${table.name}: ${message.split('\n')[0]}`,
    hint: `${safe}${memory}`,
    cause: error,
  })
}
