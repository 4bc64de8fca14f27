import type { Day } from '../../chunk.ts'
import type { DayChange, Member } from '../warehouse.ts'
import type { Turn } from './database.ts'
import { literal } from './schema.ts'

/** What the statements of one commit work on: the table and its day column, quoted, and where in it the group is. */
export interface Scope {
  readonly name: string
  readonly day: string
  readonly where: string
}

/** Counts what a commit changes on days that were published before: their rows are kept from before the commit, and compared after it. */
export class Restated {
  readonly #turn: Turn
  readonly #members: readonly Member[]
  readonly #now: string
  readonly #day: string

  constructor(turn: Turn, { name, day, where }: Scope, members: readonly Member[]) {
    this.#turn = turn
    this.#members = members.filter(({ restated }) => restated.length > 0)
    this.#now = `SELECT t.* FROM ${name} t JOIN restated r ON t.client_id = r.client_id AND ${day} = r.day WHERE ${where}`
    this.#day = day
  }

  /** Before the rows are replaced. */
  async keep(): Promise<void> {
    if (this.#members.length === 0) return
    const days = this.#members.flatMap(({ chunk, restated }) =>
      restated.map(day => `(${literal(chunk.client)}, DATE ${literal(day)})`),
    )
    await this.#turn.run(
      'CREATE OR REPLACE TEMP TABLE restated (client_id VARCHAR, day DATE)',
      `INSERT INTO restated VALUES ${days.join(', ')}`,
      `CREATE OR REPLACE TEMP TABLE restated_before AS ${this.#now}`,
    )
  }

  /** After it, by attempt. */
  async changes(): Promise<Map<string, DayChange[]>> {
    if (this.#members.length === 0) return new Map()
    const added = await this.#count(`${this.#now} EXCEPT ALL SELECT * FROM restated_before`)
    const removed = await this.#count(`SELECT * FROM restated_before EXCEPT ALL ${this.#now}`)
    return new Map(
      this.#members.map(({ attemptId, chunk, restated }) => [
        attemptId,
        restated.map(day => {
          const slice = sliceId(chunk.client, day)
          return { day, added: added.get(slice) ?? 0, removed: removed.get(slice) ?? 0 }
        }),
      ]),
    )
  }

  async #count(rows: string): Promise<Map<string, number>> {
    const counts = await this.#turn.query(
      `SELECT t.client_id AS client, ${this.#day}::VARCHAR AS day, count(*) AS rows FROM (${rows}) t GROUP BY 1, 2`,
    )
    return new Map(counts.map(({ client, day, rows }) => [sliceId(String(client), String(day)), Number(rows)]))
  }
}

function sliceId(client: string, day: Day): string {
  return `${day} ${client}`
}
