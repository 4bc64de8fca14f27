import { addDays, type Day, daysOf, type Window } from '../../lib/chunk.ts'
import { type ClientEntry, resolveClients } from '../../lib/config.ts'
import { defineConnector } from '../../lib/connector.ts'
import { type Config, defineConfig, definePipeline, duckdb, type Pipeline } from '../../lib/index.ts'
import type { AttemptSummary, Ledger, Restatement, Settlement } from '../../lib/ledger/ledger.ts'
import { client, day, integer } from '../../lib/mapping.ts'
import { type PeriodAsked, periodOf } from '../../lib/report/period.ts'
import { type Report, report } from '../../lib/report/report.ts'
import { date, defineTable, int64, string } from '../../lib/table.ts'
import { begin, type Clock, claimOf, day as dayOf, stage, summaryOf } from '../ledger/kit.ts'

/** The week that is told of, Monday to Sunday, and the Monday morning on which somebody reads about it. */
export const WEEK: Window = { from: '2026-11-16', to: '2026-11-22' }
export const MONDAY = Date.parse('2026-11-23T09:00:00Z')

/** Somebody's attempt at a script, at a shell, and at a list of names. */
export const HOSTILE = `<script>alert("x")</script>'&, $(touch /tmp/x)`

interface Click {
  account: string
  date: string
  clicks: number
}

/** A pipeline that is due at six and promises its days within 36 hours, unless told otherwise. */
export function pipelineOf(name: string, more: Partial<Pick<Pipeline, 'schedule'>> = {}): Pipeline {
  return definePipeline({
    name,
    source: defineConnector<Click>({ name: `${name}-api`, async *pages() {} }),
    table: defineTable(
      `shop.${name.replaceAll('-', '_')}`,
      { client_id: string(), date: date(), clicks: int64() },
      { partitionBy: 'date' },
    ),
    map: { client_id: client('account'), date: day('date'), clicks: integer('clicks') },
    totals: ['clicks'],
    schedule: more.schedule ?? [{ name: 'daily', cron: '0 6 * * *', lookbackDays: 3 }],
  })
}

/** What a chunk of one day was, where it is not the usual. */
export interface Told {
  /** Default 8 in the morning after its day, UTC. */
  readonly at?: number
  readonly rows?: number
  readonly more?: Partial<AttemptSummary>
  readonly restated?: Partial<Restatement>
  /** How it ended; default published. */
  readonly ends?: 'unchanged' | Omit<Settlement, 'certain'>
}

/** When a day is read that nothing happened to. */
export function nextMorning(day: Day): number {
  return Date.parse(`${addDays(day, 1)}T08:00:00Z`)
}

/** Tells a ledger of one day of one client. */
export async function tellDay(
  { ledger, clock }: { readonly ledger: Ledger; readonly clock: Clock },
  pipeline: string,
  client: string,
  day: Day,
  { at = nextMorning(day), rows = 1_000, more = {}, restated, ends }: Told = {},
): Promise<void> {
  clock.now = at
  const run = await begin(ledger, { pipeline, clients: [client], window: { from: day, to: day } })
  const claim = await claimOf(ledger, run)
  const days = [dayOf(day, rows, { totals: { clicks: String(3 * rows) } })]
  const summary = summaryOf(claim, { startedAt: at - 60_000, finishedAt: at, days, ...more })
  if (typeof ends === 'object') await ledger.settle(claim.attemptId, { certain: true, ...ends }, summary)
  else {
    await stage(ledger, claim, summary)
    if (ends === 'unchanged') await ledger.unchanged(claim.attemptId, summary)
    else {
      await ledger.committing([claim.attemptId])
      const counts = { added: 1, removed: 1, rowsBefore: rows, rowsAfter: rows, totalsBefore: {}, totalsAfter: {} }
      await ledger.published(
        claim.attemptId,
        summary,
        restated === undefined ? [] : [{ pipeline, client, day, ...counts, at, ...restated }],
      )
    }
    await ledger.finishRun(run.id)
  }
  clock.now = MONDAY
}

/** Tells of every day of a window, and eight weeks before it if they are wanted. */
export async function tellDays(
  at: { readonly ledger: Ledger; readonly clock: Clock },
  pipeline: string,
  clients: readonly string[],
  window: Window = WEEK,
  told: (day: Day, client: string) => Told | undefined = () => ({}),
): Promise<void> {
  for (const day of daysOf(window)) {
    for (const client of clients) {
      const one = told(day, client)
      if (one !== undefined) await tellDay(at, pipeline, client, day, one)
    }
  }
}

/** A configuration over a ledger. */
export function configOf(ledger: Ledger, pipelines: readonly Pipeline[], clients: readonly ClientEntry[]): Config {
  return defineConfig({ pipelines, clients, warehouse: duckdb({ path: ':memory:' }), ledger })
}

/** The report of a week, by default of the week that is over on Monday morning. */
export async function reportOf(
  ledger: Ledger,
  pipelines: readonly Pipeline[],
  entries: readonly ClientEntry[],
  { now = MONDAY, ...asked }: PeriodAsked & { readonly now?: number } = {},
): Promise<Report> {
  const config = configOf(ledger, pipelines, entries)
  const clients = await resolveClients(config, undefined, new AbortController().signal)
  const period = periodOf(asked, new Date(now).toISOString().slice(0, 10))
  return await report({ config, clients, period, grantKey: undefined, now })
}
