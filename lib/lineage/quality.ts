import { addDecimals, DecimalSum } from '../decimal.ts'
import type { ErrorCode } from '../errors.ts'
import type { AttemptSummary } from '../ledger/ledger.ts'
import type { Pipeline } from '../pipeline.ts'

/** A check of what the API gave, as OpenLineage tells of it. */
export interface Assertion {
  readonly assertion: string
  /** Which one of several of that kind. */
  readonly name?: string
  readonly success: boolean
  /** `error` keeps the chunk out of the table. */
  readonly severity: 'error' | 'warn'
  readonly expected?: string
  readonly actual?: string
}

/** A check as it is declared: which errors say that it failed, and whether it is made at all. */
interface Check {
  readonly assertion: string
  readonly codes: readonly ErrorCode[]
  made(pipeline: Pipeline, summary: AttemptSummary, force: boolean): boolean
  /** What was compared, where there is more to tell than whether it held; each overrules what follows from the error. */
  compared?(pipeline: Pipeline, summary: AttemptSummary, force: boolean): Partial<Assertion>[]
}

/** The checks between reading and publishing, in the order in which they are made. */
const CHECKS: readonly Check[] = [
  { assertion: 'balance', codes: ['CHUNK_UNBALANCED'], made: () => true },
  {
    assertion: 'drift',
    codes: ['SCHEMA_DRIFTED', 'SCHEMA_UNSETTLED'],
    made: ({ checks }, _, force) => checks.drift !== 'warn' && !force,
  },
  {
    assertion: 'rejects',
    codes: ['REJECTS_TOO_MANY'],
    made: () => true,
    compared: ({ checks }, { rows: { rejected, extracted } }) => [
      { expected: `at most ${checks.rejects.atMost}`, actual: String(extracted === 0 ? 0 : rejected / extracted) },
    ],
  },
  { assertion: 'empty', codes: ['EMPTY_CHUNK'], made: ({ checks }, _, force) => checks.empty === 'hold' && !force },
  {
    assertion: 'volume',
    codes: ['VOLUME_DROP'],
    made: ({ checks }, { rows: { previous, staged } }, force) =>
      checks.volume.atLeast > 0 && previous !== null && previous > 0 && staged > 0 && !force,
    compared: ({ checks }, { rows: { previous, staged } }) => [
      { expected: `at least ${checks.volume.atLeast}`, actual: String(staged / (previous ?? staged)) },
    ],
  },
  {
    assertion: 'sourceTotals',
    codes: ['SOURCE_DIVERGED'],
    made: () => true,
    compared: ({ checks }, { sourceTotals = [] }, force) =>
      sourceTotals.map(({ column, stated, staged, rejected, agrees }) => ({
        name: column,
        success: agrees,
        severity: checks.sourceTotals.policy === 'hold' && !force ? 'error' : 'warn',
        ...(stated === null ? {} : { expected: stated }),
        actual: addDecimals(staged, rejected),
      })),
  },
  { assertion: 'unique', codes: ['KEY_DUPLICATED'], made: ({ table }) => table.key.length > 0 },
]

/**
 * The checks that were made of what the API gave, and how they ended; and every rule that a record broke. None when the attempt ended elsewhere than in one
 * of them.
 */
export function assertionsOf(
  pipeline: Pipeline,
  summary: AttemptSummary,
  { force, code }: { readonly force: boolean; readonly code: ErrorCode | null },
): Assertion[] {
  const failed = CHECKS.findIndex(({ codes }) => codes.some(one => one === code))
  if (code !== null && failed < 0) return []
  const made = CHECKS.filter(
    (check, place) => place === failed || ((failed < 0 || place < failed) && check.made(pipeline, summary, force)),
  )
  return [
    ...made.flatMap(({ assertion, codes, compared = () => [{}] }): Assertion[] => {
      const success = !codes.some(one => one === code)
      return compared(pipeline, summary, force).map(what => ({ assertion, success, severity: 'error', ...what }))
    }),
    ...Object.entries(summary.rejectedBy).map(
      ([rule, count]): Assertion => ({ assertion: rule, success: false, severity: 'warn', actual: String(count) }),
    ),
  ]
}

/** What one column holds, in numbers. */
interface ColumnMetrics {
  nullCount?: number
  distinctCount?: number
  sum?: number
  min?: number
  max?: number
}

/** What the table holds of the days of the chunk: rows, and what is known of the columns. Days and instants have no place in it, its bounds are numbers. */
export function metricsOf({ rows, columns, days }: AttemptSummary): object {
  const metrics: Record<string, ColumnMetrics> = {}
  for (const [column, { nulls, minimum, maximum, values }] of Object.entries(columns)) {
    metrics[column] = {
      ...(nulls === undefined ? {} : { nullCount: nulls }),
      ...(values === undefined ? {} : { distinctCount: Object.keys(values).length }),
      ...numbered('min', minimum),
      ...numbered('max', maximum),
    }
  }
  for (const column of Object.keys(days[0]?.totals ?? {})) {
    const sum = new DecimalSum()
    for (const { totals } of days) sum.add(totals[column] ?? '0')
    metrics[column] = { ...metrics[column], ...numbered('sum', String(sum)) }
  }
  const known = Object.entries(metrics).filter(([, column]) => Object.keys(column).length > 0)
  return { rowCount: rows.present ?? rows.staged, columnMetrics: Object.fromEntries(known) }
}

/** Digits up to which a decimal is the same number as the double that JSON makes of it. */
const EXACT_DIGITS = 15

/** The number, where JSON carries it exactly: a sum that is only nearly right would look like rows that are missing. */
function numbered(name: 'min' | 'max' | 'sum', text: string | undefined): ColumnMetrics {
  const number = Number(text ?? Number.NaN)
  const exact = String(number) === text || (text ?? '').replaceAll(/\D/g, '').length <= EXACT_DIGITS
  return Number.isFinite(number) && exact ? { [name]: number } : {}
}
