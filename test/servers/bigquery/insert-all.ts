import { randomUUID } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Answer, ok } from './answers.ts'
import { bufferName, type TableEntry, type TableId, tableName } from './catalogue.ts'
import type { Context } from './context.ts'
import { ApiError } from './errors.ts'
import type { RequestEffect } from './faults.ts'
import { injected } from './faults.ts'
import { insertFile } from './ingest.ts'
import { type Json, list, object, text } from './json.ts'
import { checkerOf, isDate, streamMessage } from './values.ts'

/** A streamed row. */
interface StreamedRow {
  readonly insertId: string | undefined
  readonly row: unknown
}

interface RowErrors {
  readonly index: number
  readonly errors: readonly Json[]
}

const STOPPED: Json = { reason: 'stopped', location: '', debugInfo: '', message: '' }

/** How long an insertId is remembered. */
const DEDUPE_MS = 60_000

/** `tabledata.insertAll`. */
export class Streams {
  readonly #context: Context
  readonly #seen = new Map<string, number>()
  #turn: Promise<void> = Promise.resolve()

  constructor(context: Context) {
    this.#context = context
  }

  async insertAll(id: TableId, body: Json, effect: RequestEffect | undefined): Promise<Answer> {
    const { catalogue, clock, switches } = this.#context
    const entry = catalogue.table(id)
    if (body.templateSuffix !== undefined)
      throw new ApiError('notImplemented', 'templateSuffix is not known to this local server')
    const rows = list(body.rows).map(row => ({ insertId: text(object(row).insertId), row: object(row).json }))
    mustFit(rows)
    const wrong = this.#errorsOf(entry, rows, body.ignoreUnknownValues === true)
    const skip = body.skipInvalidRows === true
    const injectedErrors = effect?.kind === 'rows' ? injectedRows(effect) : []
    if (wrong.length > 0 && !skip) {
      const bad = new Set(wrong.map(({ index }) => index))
      const stopped = rows.flatMap((_, index) => (bad.has(index) ? [] : [{ index, errors: [STOPPED] }]))
      return answer([...wrong, ...stopped].sort((a, b) => a.index - b.index))
    }
    const errors = [...wrong, ...injectedErrors]
    const out = new Set(errors.map(({ index }) => index))
    const good = rows.filter((row, index) => !out.has(index) && !this.#isRepeated(id, row))
    const lost = effect?.kind === 'lose-rows' || clock.now() - entry.createdAt < switches.freshTableLosesRowsMs
    if (!lost) {
      // One after the other: the first makes the buffer.
      const stored = this.#turn.then(() => this.#store(entry, good))
      this.#turn = stored.catch(() => undefined)
      await stored
    }
    return answer(errors)
  }

  async #store(entry: TableEntry, rows: readonly StreamedRow[]): Promise<void> {
    const { clock, duck, folder } = this.#context
    if (rows.length === 0) return
    const known = new Set(entry.fields.map(({ name }) => name))
    const lines = rows.map(({ row }) =>
      JSON.stringify(Object.fromEntries(Object.entries(object(row)).filter(([name]) => known.has(name)))),
    )
    const file = join(folder, randomUUID())
    try {
      await writeFile(file, `${lines.join('\n')}\n`)
      const longest = Math.max(...lines.map(line => Buffer.byteLength(line)))
      await duck.use(async session => {
        const buffer = bufferName(entry.id)
        await session.run(`CREATE TABLE IF NOT EXISTS ${buffer} AS FROM ${tableName(entry.id)} LIMIT 0`)
        await insertFile(session, buffer, entry.fields, file, { rows: rows.length, bytes: 0, longest, gzip: false })
      })
    } finally {
      await rm(file, { force: true })
    }
    entry.buffer = { rows: (entry.buffer?.rows ?? 0) + rows.length, since: entry.buffer?.since ?? clock.now() }
  }

  #errorsOf(entry: TableEntry, rows: readonly StreamedRow[], ignoreUnknown: boolean): RowErrors[] {
    const check = checkerOf(entry.fields)
    const { partitioning } = entry
    const { switches } = this.#context
    return rows.flatMap(({ row }, index) => {
      const errors = check(row, ignoreUnknown).map(fault => ({
        reason: 'invalid',
        location: fault.field,
        debugInfo: '',
        message: streamMessage(fault),
      }))
      const day = partitioning === undefined ? undefined : object(row)[partitioning.field]
      if (typeof day === 'string' && isDate(day.slice(0, 10)) && !this.#isNear(day)) {
        const message = `The streamed row's partition ${day} is outside the allowed bounds: 10 years in the past to 1 year in the future`
        errors.push({ reason: 'invalid', location: partitioning?.field ?? '', debugInfo: '', message })
      }
      const refused = errors.length === 0 ? switches.refuses(object(row)) : undefined
      if (refused !== undefined) errors.push({ reason: 'invalid', location: '', debugInfo: '', message: refused })
      return errors.length === 0 ? [] : [{ index, errors }]
    })
  }

  #isNear(day: string): boolean {
    const now = new Date(this.#context.clock.now()).toISOString()
    const year = Number(now.slice(0, 4))
    const around = (years: number): string => `${year + years}${now.slice(4, 10)}`
    return day.slice(0, 10) >= around(-10) && day.slice(0, 10) <= around(1)
  }

  #isRepeated({ dataset, table }: TableId, { insertId }: StreamedRow): boolean {
    const { clock, switches } = this.#context
    if (!switches.dedupe || insertId === undefined) return false
    const key = JSON.stringify([dataset, table, insertId])
    const before = this.#seen.get(key)
    this.#seen.set(key, clock.now())
    return before !== undefined && clock.now() - before < DEDUPE_MS
  }
}

function answer(errors: readonly RowErrors[]): Answer {
  const kind = 'bigquery#tableDataInsertAllResponse'
  return ok(errors.length === 0 ? { kind } : { kind, insertErrors: errors })
}

function injectedRows(effect: RequestEffect & { readonly kind: 'rows' }): RowErrors[] {
  const { reason, message } = injected(effect)
  return effect.indexes.map(index => ({ index, errors: [{ reason, location: '', debugInfo: '', message }] }))
}

function mustFit(rows: readonly StreamedRow[]): void {
  if (rows.length === 0) throw new ApiError('invalid', 'No rows present in the request.')
  if (rows.length > 50_000)
    throw new ApiError('invalid', `Too many rows present in the request, limit: 50000 row count: ${rows.length}.`)
  for (const { insertId } of rows) {
    if (insertId !== undefined && insertId.length > 128) throw new ApiError('invalid', 'insertId is longer than 128 characters.')
  }
}
