import { chunkText, daysOf } from '../../chunk.ts'
import { DataError, type HeadraceError, TransientError } from '../../errors.ts'
import type { Table } from '../../table.ts'
import { type DayChange, type DayCount, divergence, GroupRefused, type Member, type Publication } from '../warehouse.ts'
import { REJECT_COLUMNS } from './csv.ts'
import type { Turn } from './database.ts'
import { commitFailure } from './failure.ts'
import { insertStaged, readCsv, type StagedTypes } from './read-csv.ts'
import { Restated, type Scope } from './restated.ts'
import { identifier, literal, rejectsName, SLICES, tableName } from './schema.ts'
import { receiptOf, type StagingFolder } from './staging.ts'

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
    throw commitFailure(table.name, error)
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
  readonly #scope: Scope

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
    const day = `t.${identifier(table.partitionBy)}`
    const clients = [...new Set(members.map(({ chunk }) => literal(chunk.client)))].join(', ')
    const first = members.reduce((least, { chunk }) => (chunk.window.from < least ? chunk.window.from : least), '9999-12-31')
    const last = members.reduce((most, { chunk }) => (chunk.window.to > most ? chunk.window.to : most), '0001-01-01')
    // Every statement is limited to the clients and days of the group, so that DuckDB reads only where they are.
    const where = `t.client_id IN (${clients}) AND ${day} BETWEEN DATE ${literal(first)} AND DATE ${literal(last)}`
    this.#scope = { name: tableName(table), day, where }
  }

  async write(): Promise<Work> {
    await this.#refuseFenced()
    await this.#refuseLost()
    const before = await this.counts()
    const publishing = this.#members.filter(
      member => member.intent === 'publish' || (member.intent === 'confirm' && divergence(member, before).length > 0),
    )
    const restated = new Restated(this.#turn, this.#scope, publishing)
    if (publishing.length > 0) {
      await restated.keep()
      await this.#replaceRows(publishing)
      await this.#refuseDuplicateKeys(publishing)
    }
    // The rejects of unchanged members too: an attempt in between may have been held and have left its own.
    await this.#turn.run(...this.#raiseFence(publishing), ...this.#replaceRejects())
    return { before, publishing, changes: await restated.changes() }
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
    const { name, day, where } = this.#scope
    const sums = this.#totals.map(column => `, sum(t.${identifier(column)}) AS ${identifier(`total ${column}`)}`).join('')
    const rows = await this.#turn.query(
      `SELECT c.* REPLACE (c.day::VARCHAR AS day) FROM (SELECT t.client_id AS client, ${day} AS day, count(*) AS rows${sums} ` +
        `FROM ${name} t WHERE ${where} GROUP BY 1, 2) c ` +
        'SEMI JOIN slice s ON c.client = s.client_id AND c.day BETWEEN s.first AND s.last',
    )
    return rows.map(row => dayCount(row, this.#totals))
  }

  #listSlices(name: 'slice' | 'publishing', members: readonly Member[]): string[] {
    const values = members.map(({ attemptId, generation, chunk: { client, window } }) =>
      [
        literal(attemptId),
        literal(client),
        `DATE ${literal(window.from)}`,
        `DATE ${literal(window.to)}`,
        String(generation),
      ].join(', '),
    )
    return [
      `CREATE OR REPLACE TEMP TABLE ${name} (attempt_id VARCHAR, client_id VARCHAR, first DATE, last DATE, generation BIGINT)`,
      `INSERT INTO ${name} VALUES ${values.map(value => `(${value})`).join(', ')}`,
    ]
  }

  async #refuseFenced(): Promise<void> {
    const fenced = await this.#turn.query(
      ...this.#listSlices('slice', this.#members),
      `SELECT g.attempt_id, max(s.generation) AS newer FROM slice g JOIN ${SLICES} s ON s.client_id = g.client_id ` +
        `AND s.day BETWEEN g.first AND g.last WHERE s.table_name = ${literal(this.#table.name)} AND s.generation > g.generation GROUP BY 1`,
    )
    const newer = new Map(fenced.map(row => [row.attempt_id, row.newer]))
    this.#refuse(({ chunk, attemptId, generation }) =>
      newer.has(attemptId)
        ? new TransientError('FENCED', {
            message: `${chunkText(chunk)}: attempt ${attemptId} is of generation ${generation}, the table holds ${newer.get(attemptId)}`,
            hint: 'A newer attempt published these days while this one was stalled. Nothing was overwritten.',
          })
        : undefined,
    )
  }

  /** What was staged must still be there, in full: a file that is missing would stop the whole group. */
  async #refuseLost(): Promise<void> {
    const lost = new Set<string>()
    await Promise.all(
      this.#members.map(async member => {
        if (!(await this.#folder.isWhole(member))) lost.add(member.attemptId)
      }),
    )
    this.#refuse(({ chunk, attemptId }) =>
      lost.has(attemptId)
        ? new TransientError('WAREHOUSE_FAILED', {
            message: `${chunkText(chunk)}: what was staged in ${this.#folder.path} is gone, or is no longer all of it`,
            hint: 'Nothing of this chunk was published; it is read again. Nobody else should touch that folder.',
          })
        : undefined,
    )
  }

  async #replaceRows(publishing: readonly Member[]): Promise<void> {
    const { name: table, day, where } = this.#scope
    const files = publishing.map(({ attemptId }) => this.#folder.rows(attemptId))
    const inserted = await this.#turn.run(
      ...this.#listSlices('publishing', publishing),
      `DELETE FROM ${table} t USING publishing p WHERE t.client_id = p.client_id ` +
        `AND ${day} BETWEEN p.first AND p.last AND ${where}`,
      insertStaged(this.#table, files, this.#longest(publishing), this.#staged),
    )
    const found = await this.counts()
    const expected = publishing.reduce((sum, { days }) => days.reduce((rows, day) => rows + day.rows, sum), 0)
    this.#refuse(member => {
      const differences = publishing.includes(member) ? divergence(member, found) : []
      return differences.length === 0 ? undefined : countDiverged(member, differences)
    })
    if (inserted !== expected) {
      throw new DataError('COUNT_DIVERGED', {
        message: `${this.#table.name}: ${expected} rows staged, ${inserted} inserted`,
        hint: 'Rolled back: the table is as it was. This is a defect of headrace or of what was staged; please report it.',
      })
    }
  }

  async #refuseDuplicateKeys(publishing: readonly Member[]): Promise<void> {
    if (!publishing.some(({ checkKey }) => checkKey)) return
    const { name, day, where } = this.#scope
    const key = this.#table.key.map(column => `t.${identifier(column)}`).join(', ')
    const duplicated = await this.#turn.query(
      `SELECT attempt_id, count(*) AS keys FROM (SELECT p.attempt_id FROM ${name} t JOIN publishing p ON t.client_id = p.client_id ` +
        `AND ${day} BETWEEN p.first AND p.last WHERE ${where} GROUP BY p.attempt_id, ${key} HAVING count(*) > 1) GROUP BY 1`,
    )
    const keys = new Map(duplicated.map(row => [row.attempt_id, row.keys]))
    this.#refuse(({ chunk, attemptId, checkKey }) =>
      checkKey && keys.has(attemptId)
        ? new DataError('KEY_DUPLICATED', {
            message: `${chunkText(chunk)}: ${keys.get(attemptId)} keys (${this.#table.key.join(', ')}) occur more than once`,
            hint: 'Nothing was published. The chunk is too large to drop repeated rows on the way: use shorter windows, or a finer key.',
          })
        : undefined,
    )
  }

  #raiseFence(publishing: readonly Member[]): string[] {
    if (publishing.length === 0) return []
    const table = literal(this.#table.name)
    const values = publishing.flatMap(({ attemptId, generation, chunk, days }) =>
      days.map(({ day, rows }) =>
        [table, literal(chunk.client), `DATE ${literal(day)}`, generation, literal(attemptId), rows, 'now()'].join(', '),
      ),
    )
    return [
      `DELETE FROM ${SLICES} s USING publishing p WHERE s.table_name = ${table} AND s.client_id = p.client_id ` +
        'AND s.day BETWEEN p.first AND p.last',
      `INSERT INTO ${SLICES} VALUES ${values.map(value => `(${value})`).join(', ')}`,
    ]
  }

  #replaceRejects(): string[] {
    const name = rejectsName(this.#table)
    const rejecting = this.#members.filter(({ days }) => days.some(({ rejected }) => rejected > 0))
    return [
      `DELETE FROM ${name} r USING slice s WHERE r.client_id = s.client_id AND r.day BETWEEN s.first AND s.last`,
      ...rejecting.map(
        member =>
          `INSERT INTO ${name} BY NAME SELECT ${literal(member.chunk.client)} AS client_id, *, ${literal(member.attemptId)} AS attempt_id, ` +
          `${member.intent === 'rejects'} AS held, now() AS rejected_at FROM ` +
          readCsv([this.#folder.rejects(member.attemptId)], REJECT_COLUMNS, this.#longest([member])),
      ),
    ]
  }

  #longest(members: readonly Member[]): number {
    return Math.max(0, ...members.map(({ receipt }) => receiptOf(receipt).longest))
  }

  /** Refuses the members that have a reason to be. */
  #refuse(reason: (member: Member) => HeadraceError | undefined): void {
    const refused = new Map<string, HeadraceError>()
    for (const member of this.#members) {
      const error = reason(member)
      if (error !== undefined) refused.set(member.attemptId, error)
    }
    if (refused.size > 0) throw new GroupRefused(refused)
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

function countDiverged({ chunk }: Member, differences: readonly string[]): DataError {
  const more = differences.length > 5 ? ` and ${differences.length - 5} more of ${daysOf(chunk.window).length} days` : ''
  return new DataError('COUNT_DIVERGED', {
    message: `${chunkText(chunk)}: ${differences.slice(0, 5).join('; ')}${more}`,
    hint: 'Rolled back: the table is as it was. Nobody else should write to it; if nobody does, please report this.',
  })
}
