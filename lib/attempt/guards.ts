import { type Chunk, chunkText, dayCount } from '../chunk.ts'
import { DataError, TransientError } from '../errors.ts'
import type { PublishedDay } from '../ledger/ledger.ts'
import type { Pipeline } from '../pipeline.ts'
import { type Drift, driftsText } from './drift.ts'
import { type SourceTotal, sourceTotalsText } from './source-totals.ts'
import type { DaySummary } from './summary.ts'

/** What the guards look at: a staged chunk, by its counts. */
export interface Guarded {
  readonly chunk: Chunk
  readonly rows: { readonly extracted: number; readonly staged: number; readonly rejected: number }
  readonly days: readonly DaySummary[]
  readonly drifts: readonly Drift[]
  readonly sourceTotals: readonly SourceTotal[]
}

/** Days that had rows when last published and have none now, nor a reject. */
function emptied(days: readonly DaySummary[], published: readonly PublishedDay[]): PublishedDay[] {
  return published.filter(before => {
    const now = days.find(({ day }) => day === before.day)
    return before.rows > 0 && now?.rows === 0 && now.rejected === 0
  })
}

/**
 * Whether a chunk must be read a second time before anybody believes it: a day became empty, or it is not what the source states. The totals are asked for again
 * with it, not alone: what the source states later says less about what was read before.
 */
export function mustReadTwice(
  { checks }: Pipeline,
  { days, sourceTotals }: Pick<Guarded, 'days' | 'sourceTotals'>,
  published: readonly PublishedDay[],
): boolean {
  const differs = checks.sourceTotals.policy === 'hold' && sourceTotals.some(({ agrees }) => !agrees)
  return differs || (checks.empty !== 'allow' && emptied(days, published).length > 0)
}

/**
 * Stops a chunk that looks wrong: records of another shape, too many rejects, days that became empty, far fewer rows than before, other totals than the source states. Throws the error
 * that says which. Forced, it compares nothing with what was published before; rejects are counted all the same.
 */
export function guard(
  { checks }: Pipeline,
  { chunk, rows, days, drifts: chunkDrifts, sourceTotals }: Guarded,
  published: readonly PublishedDay[],
  force: boolean,
): void {
  const name = chunkText(chunk)
  const safe = 'Nothing of this chunk was published, what was there stays.'
  // A field that no column reads makes no row wrong.
  const drifts = force || checks.drift === 'warn' ? [] : chunkDrifts.filter(({ change }) => change !== 'added')
  if (drifts.length > 0) {
    const message = `${name}: ${driftsText(drifts)}`
    const accept = 'Correct the mapping or the table; if the API is right, run the chunk again with --force: then it is known.'
    if (checks.drift === 'hold') throw new DataError('SCHEMA_DRIFTED', { message, hint: `${safe} ${accept}` })
    throw new TransientError('SCHEMA_UNSETTLED', { message, hint: `${safe} It is tried again. ${accept}` })
  }
  // Divided, not multiplied: 29 of 100 is exactly 0.29, but 0.29 * 100 is less than 29.
  if (rows.rejected / rows.extracted > checks.rejects.atMost) {
    throw new DataError('REJECTS_TOO_MANY', {
      message: `${name}: ${rows.rejected} of ${rows.extracted} records rejected, ${percent(checks.rejects.atMost)} allowed`,
      hint: `${safe} Look at them with \`headrace rejects\`; then correct the mapping, or allow more in the pipeline's checks.`,
    })
  }
  if (force) return
  const empty = emptied(days, published)
  if (checks.empty === 'hold' && empty.length > 0) {
    const before = empty.reduce((sum, day) => sum + day.rows, 0)
    throw new DataError('EMPTY_CHUNK', {
      message: `${name}: no rows for ${empty.map(({ day }) => day).join(', ')}, ${before} when last published; read twice`,
      hint: `${safe} If the API is right, run the chunk again with --force.`,
    })
  }
  const previous = previousRows(chunk, published)
  if (previous !== null && rows.staged > 0 && rows.staged / previous < checks.volume.atLeast) {
    throw new DataError('VOLUME_DROP', {
      message: `${name}: ${rows.staged} rows, ${previous} when last published; at least ${percent(checks.volume.atLeast)} of that expected`,
      hint: `${safe} If the API is right, run the chunk again with --force.`,
    })
  }
  const differences = sourceTotalsText(sourceTotals)
  if (checks.sourceTotals.policy === 'hold' && differences !== '') {
    throw new DataError('SOURCE_DIVERGED', {
      message: `${name}: ${differences}; read twice`,
      hint: `${safe} If the rows are right and the source adds them up otherwise, run the chunk again with --force, or correct sourceTotals of the pipeline.`,
    })
  }
}

/** Rows the window held when last published, or null when it never was in full. */
export function previousRows({ window }: Pick<Chunk, 'window'>, published: readonly PublishedDay[]): number | null {
  return published.length < dayCount(window) ? null : published.reduce((sum, day) => sum + day.rows, 0)
}

/** Whether the table already holds exactly these days, as far as the ledger knows. */
export function sameDays(days: readonly DaySummary[], published: readonly PublishedDay[]): boolean {
  const held = new Map(published.map(day => [day.day, day]))
  return days.every(day => {
    const before = held.get(day.day)
    return before !== undefined && !before.doubtful && sameContent(day, before)
  })
}

/** Days published before whose content is different now. */
export function restatedDays(days: readonly DaySummary[], published: readonly PublishedDay[]): string[] {
  const now = new Map(days.map(day => [day.day, day]))
  return published.filter(before => !sameContent(now.get(before.day), before)).map(({ day }) => day)
}

function sameContent(a: DaySummary | undefined, b: DaySummary): boolean {
  return (
    a?.rows === b.rows &&
    a.rejected === b.rejected &&
    a.fingerprint === b.fingerprint &&
    JSON.stringify(a.totals) === JSON.stringify(b.totals)
  )
}

function percent(share: number): string {
  return `${Number((share * 100).toFixed(4))} %`
}
