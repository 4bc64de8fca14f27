import { addDays, toEpochDay } from '../chunk.ts'
import type { PublishedChunk } from '../ledger/reader.ts'
import { BASELINE_DAYS, median } from './baseline.ts'
import { clientsText, type Finding, numberText, percentText } from './finding.ts'
import { findingAt, isJudged, sumOf, type Watched } from './watched.ts'

/** Chunks without which nothing is expected of the columns of the next one. */
const FEWEST_CHUNKS = 7

/** Chunks of one client, or of all of them, that cover the same days. */
interface Slice {
  readonly clients: readonly string[]
  readonly from: string
  readonly to: string
  readonly chunks: readonly PublishedChunk[]
}

/** A slice that is judged, and those before it. */
interface Judged {
  readonly slice: Slice
  readonly before: readonly Slice[]
}

/** Each client for itself, and all of them together, from what was read last of the same days. */
function judgedSlices({ now, chunks, clients }: Watched): Judged[] {
  const here = new Set(clients.map(({ id }) => id))
  const newest = new Map(
    chunks.filter(({ client }) => here.has(client)).map(chunk => [JSON.stringify([chunk.client, chunk.from, chunk.to]), chunk]),
  )
  const sliced = (some: readonly PublishedChunk[]): Slice[] =>
    [...Map.groupBy(some, ({ from, to }) => `${from}${to}`).values()].map(same => ({
      clients: same.map(({ client }) => client),
      from: same[0]?.from ?? '',
      to: same[0]?.to ?? '',
      chunks: same,
    }))
  const byClient = Map.groupBy(newest.values(), ({ client }) => client)
  const series = [...byClient.values(), ...(byClient.size > 1 ? [[...newest.values()]] : [])].map(sliced)
  return series.flatMap(slices =>
    slices
      .filter(({ to }) => isJudged(toEpochDay(to), now))
      .map(slice => {
        const first = addDays(slice.from, -BASELINE_DAYS)
        return { slice, before: slices.filter(({ from, to }) => to < slice.from && from >= first) }
      })
      .filter(({ before }) => before.length >= FEWEST_CHUNKS),
  )
}

/** Something about a column of a slice. */
interface Remark {
  readonly column: string
  readonly slice: Slice
  readonly what: string
  readonly rows: number
}

/** One finding per column and day; of all clients together only where no single one is the cause. */
function findings(watched: Watched, monitor: 'nulls' | 'range' | 'distribution', remarks: readonly Remark[]): Finding[] {
  return [...Map.groupBy(remarks, ({ column, slice }) => `${slice.to} ${column}`)].map(([subject, same]) => {
    const single = same.filter(({ slice }) => slice.clients.length === 1)
    const told = (single.length > 0 ? single : same).toSorted((a, b) => b.rows - a.rows)
    const clients = [...new Set(told.flatMap(({ slice }) => slice.clients))]
    return findingAt(watched, monitor, {
      subject,
      what: `${subject}: ${told[0]?.what} (${clientsText(clients)})`,
      places: clients.map(client => ({ client, day: subject.slice(0, 10) })),
      rows: sumOf(told, ({ rows }) => rows),
    })
  })
}

function rowsOf({ chunks }: Slice): number {
  return sumOf(chunks, ({ rows }) => rows)
}

function nullsOf({ chunks }: Slice, column: string): number {
  return sumOf(chunks, ({ columns }) => columns[column]?.nulls ?? 0)
}

/** The share of nulls in each column against that of the eight weeks before. */
export function nulls(watched: Watched): Finding[] {
  const { leastRows, nullsShare, deviations } = watched.pipeline.thresholds
  const nullable = Object.entries(watched.pipeline.table.columns).flatMap(([name, column]) => (column.nullable ? [name] : []))
  const remarks = judgedSlices(watched).flatMap(({ slice, before }) => {
    const rows = rowsOf(slice)
    return nullable.flatMap((column): Remark[] => {
      const all = sumOf(before, rowsOf)
      const usual = sumOf(before, one => nullsOf(one, column)) / Math.max(all, 1)
      const share = nullsOf(slice, column) / Math.max(rows, 1)
      const off = Math.abs(share - usual)
      if (off < nullsShare || off * rows < leastRows) return []
      // What was never null might have been, once in as many rows as there were.
      const likely = Math.min(Math.max(usual, 1 / (all + 2)), 1 - 1 / (all + 2))
      const shares = before.filter(one => rowsOf(one) > 0).map(one => Math.abs(nullsOf(one, column) / rowsOf(one) - usual))
      const deviation = Math.max(Math.sqrt((likely * (1 - likely)) / rows), 1.4826 * median(shares))
      if (off / deviation < deviations) return []
      const what = `${percentText(share)} of ${numberText(rows)} rows null, ${percentText(usual)} before`
      return [{ column, slice, what, rows: off * rows }]
    })
  })
  return findings(watched, 'nulls', remarks)
}

/** How many times the rows that are worth telling of there must be before a range is known. */
const ROWS_OF_A_RANGE = 50

/** Numbers far beyond those that a client ever had, or below zero for the first time. */
export function range(watched: Watched): Finding[] {
  const { leastRows, rangeFactor } = watched.pipeline.thresholds
  const numeric = Object.entries(watched.pipeline.table.columns).flatMap(([name, { type }]) =>
    type === 'INT64' || type === 'NUMERIC' || type === 'FLOAT64' ? [name] : [],
  )
  const judged = judgedSlices(watched).filter(
    ({ slice, before }) => slice.clients.length === 1 && sumOf(before, rowsOf) >= ROWS_OF_A_RANGE * leastRows,
  )
  const remarks = judged.flatMap(({ slice, before }) =>
    numeric.flatMap((column): Remark[] => {
      const [now, past] = [extremes([slice], column), extremes(before, column)]
      if (
        now === undefined ||
        past === undefined ||
        slice.clients.length > 1 ||
        sumOf(before, rowsOf) < ROWS_OF_A_RANGE * leastRows
      )
        return []
      const largest = Math.max(Math.abs(past.minimum), Math.abs(past.maximum))
      const beyond = Math.max(Math.abs(now.minimum), Math.abs(now.maximum)) > rangeFactor * Math.max(largest, 1)
      if (!beyond && !(now.minimum < 0 && past.minimum >= 0)) return []
      const what = `from ${numberText(now.minimum)} to ${numberText(now.maximum)}, before from ${numberText(past.minimum)} to ${numberText(past.maximum)}`
      return [{ column, slice, what, rows: rowsOf(slice) }]
    }),
  )
  return findings(watched, 'range', remarks)
}

function extremes(slices: readonly Slice[], column: string): { readonly minimum: number; readonly maximum: number } | undefined {
  const summaries = slices.flatMap(({ chunks }) => chunks.flatMap(({ columns }) => columns[column] ?? []))
  const minima = summaries.flatMap(({ minimum }) => (minimum === undefined ? [] : [Number(minimum)]))
  const maxima = summaries.flatMap(({ maximum }) => (maximum === undefined ? [] : [Number(maximum)]))
  return minima.length === 0 ? undefined : { minimum: Math.min(...minima), maximum: Math.max(...maxima) }
}

/** The shares of the declared values of a column against those of the eight weeks before, by the population stability index. */
export function distribution(watched: Watched): Finding[] {
  const { leastRows, stabilityIndex } = watched.pipeline.thresholds
  const listed = Object.entries(watched.pipeline.table.columns).flatMap(([name, { constraints }]) =>
    constraints.enum === undefined ? [] : [{ column: name, values: constraints.enum }],
  )
  const remarks = judgedSlices(watched).flatMap(({ slice, before }) =>
    listed.flatMap(({ column, values }): Remark[] => {
      const shares = (slices: readonly Slice[]): { readonly rows: number; readonly of: readonly number[] } => {
        const counts = values.map(value =>
          sumOf(slices, ({ chunks }) => sumOf(chunks, ({ columns }) => columns[column]?.values?.[value] ?? 0)),
        )
        const rows = sumOf(counts, count => count)
        // Half a row of each value, so that one that does not occur is not infinitely far away.
        return { rows, of: counts.map(count => (count + 0.5) / (rows + values.length / 2)) }
      }
      const [now, past] = [shares([slice]), shares(before)]
      const terms = values.map((value, index) => {
        const [is = 0, was = 0] = [now.of[index], past.of[index]]
        return { value, is, was, term: (is - was) * Math.log(is / was) }
      })
      const index = sumOf(terms, ({ term }) => term)
      const moved = (now.rows * sumOf(terms, ({ is, was }) => Math.abs(is - was))) / 2
      // By chance the index is about the number of values over the number of rows.
      const chance = (5 * values.length) / Math.max(Math.min(now.rows, past.rows), 1)
      const [most] = terms.toSorted((a, b) => b.term - a.term)
      if (most === undefined || index < Math.max(stabilityIndex, chance) || moved < leastRows) return []
      const what = `${most.value} in ${percentText(most.is)} of ${numberText(now.rows)} rows, ${percentText(most.was)} before; stability index ${numberText(index)}`
      return [{ column, slice, what, rows: moved }]
    }),
  )
  return findings(watched, 'distribution', remarks)
}
