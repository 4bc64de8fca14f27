import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { Registry } from 'prom-client'
import t from 'tap'
import {
  type BackfillResult,
  backfill,
  createLog,
  defineConfig,
  duckdb,
  type HeadraceError,
  type RunEvent,
  sqlite,
  type Warehouse,
} from '../lib/index.ts'
import { verify } from '../lib/standing/verify.ts'
import { type AdRecord, AdsApi, ad, adsPipeline, adsTable } from './support/ads.ts'
import { execute } from './warehouse/kit.ts'
import { openBigQuery } from './warehouse-bigquery/hosts.ts'

/**
 * Rows that headrace let through and that the warehouse does not take, whatever its reason is: they become rejects, everything else is as if
 * they had been rejects from the start.
 */

const DAYS = ['2026-03-01', '2026-03-02', '2026-03-03'] as const
const WINDOW = { from: DAYS[0], to: DAYS[2] }
const CLIENTS = ['a', "o'brien"] as const
const NEVER = new AbortController().signal
const CALL = { signal: NEVER, warn: () => {} }

/** A warehouse that does not take campaigns that are called so. */
interface Picky {
  readonly warehouse: Warehouse
  close(): Promise<void>
}

const isRefused = (name: unknown): boolean => typeof name === 'string' && name.startsWith('refused')

const WAREHOUSES: Readonly<Record<string, (folder: string) => Promise<Picky>>> = {
  DuckDB: async folder => {
    const path = join(folder, 'picky.duckdb')
    // As headrace creates it, and with a condition that it knows nothing of.
    await execute(
      path,
      'CREATE SCHEMA ads',
      'CREATE TABLE ads.campaigns (client_id VARCHAR NOT NULL, date DATE NOT NULL, campaign_id VARCHAR NOT NULL, name VARCHAR, ' +
        "clicks BIGINT NOT NULL, cost DECIMAL(38,9) NOT NULL, CHECK (name IS NULL OR name NOT LIKE 'refused%'))",
    )
    return { warehouse: duckdb({ path }), close: async () => {} }
  },
  ...Object.fromEntries(
    (['load', 'insert-all'] as const).map(staging => [
      `BigQuery by ${staging}`,
      () =>
        openBigQuery(
          { staging },
          { switches: { refuses: ({ name }) => (isRefused(name) ? `no campaign may be called ${name}` : undefined) } },
        ),
    ]),
  ),
}

/** An API, a warehouse, and runs of the one into the other. */
async function world(open: (folder: string) => Promise<Picky>, atMost: number) {
  const folder = mkdtempSync(join(tmpdir(), 'headrace-refused-'))
  const { warehouse, close } = await open(folder)
  const api = new AdsApi()
  const path = join(folder, 'ledger.sqlite')
  const ledger = sqlite({ path })
  const pipeline = adsPipeline(api.connector(7), { days: 3, checks: { rejects: { atMost } } })
  const config = defineConfig({ pipelines: [pipeline], clients: CLIENTS, warehouse, ledger })
  const errors: HeadraceError[] = []
  return {
    api,
    warehouse,
    /** Errors of the last run. */
    errors,
    run: (): Promise<BackfillResult> => {
      errors.length = 0
      const observe = (event: RunEvent): void => {
        if (event.type === 'chunk' && event.error !== null) errors.push(event.error)
      }
      return backfill(
        config,
        { pipeline, window: WINDOW, clients: CLIENTS },
        { log: createLog('silent'), registry: new Registry(), observe, control: { stop: NEVER, abort: NEVER } },
      )
    },
    verified: () => verify(pipeline, config, { limit: 10 }, CALL),
    rejects: () => warehouse.rejects(adsTable, { limit: 1_000 }, CALL),
    /** Rows, clicks and cost of each client and day of the table. */
    counts: async () =>
      (await warehouse.recount(adsTable, ['clicks', 'cost'], CLIENTS, CALL)).map(
        ({ client, day, rows, totals }) => `${client} ${day} ${rows} ${Number(totals.clicks)} ${Number(totals.cost)}`,
      ),
    /** What the ledger holds of the last attempt at each chunk. */
    attempts: () => {
      const database = new DatabaseSync(path, { readOnly: true })
      const found = database.prepare('SELECT outcome, extracted, staged, rejected, deduplicated, summary FROM attempt').all()
      database.close()
      return found
    },
    /** Days of which the ledger does not know what the table holds. */
    doubtful: async () => {
      const days = await Promise.all(CLIENTS.map(client => ledger.days(pipeline.name, client, WINDOW)))
      return days.flat().filter(({ doubtful }) => doubtful)
    },
    close: async () => {
      await ledger.close()
      await close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

type World = Awaited<ReturnType<typeof world>>

/** What the API has of one client and day: how many records, and which of them the warehouse refuses. */
interface Drawn {
  readonly count: number
  readonly refused: readonly number[]
}

function recordsOf(client: string, day: string, { count, refused }: Drawn): AdRecord[] {
  const records = Array.from({ length: count }, (_, n) => {
    const record = ad(client, day, `k${n}`, n, n % 9 === 8 ? '-1' : String(n * 250_000))
    const name = refused.includes(n) ? `refused ${n}` : n % 4 === 0 ? null : `"${n}",\n`
    return { ...record, campaign: { ...record.campaign, name } }
  })
  // The first comes twice.
  return records.length > 3 ? [...records, ...records.slice(0, 1)] : records
}

function setUp({ api }: World, drawn: readonly Drawn[]): void {
  for (const [index, one] of drawn.entries()) {
    const client = CLIENTS[Math.floor(index / DAYS.length)] ?? ''
    const day = DAYS[index % DAYS.length] ?? ''
    api.set(client, day, recordsOf(client, day, one))
  }
}

/** What a table and its rejects must hold. */
function expected({ api }: World) {
  const counts: string[] = []
  const refused: string[] = []
  for (const client of CLIENTS) {
    for (const day of DAYS) {
      const records = api.get(client, day).filter(({ metrics }) => !metrics.costMicros.startsWith('-'))
      const unique = [...new Map(records.map(record => [record.campaign.id, record])).values()]
      const good = unique.filter(({ campaign }) => !isRefused(campaign.name))
      const sum = (of: (record: AdRecord) => number): number => good.reduce((total, record) => total + of(record), 0)
      const clicks = sum(({ metrics }) => metrics.clicks)
      const cost = sum(({ metrics }) => Number(metrics.costMicros)) / 1e6
      if (good.length > 0) counts.push(`${client} ${day} ${good.length} ${clicks} ${cost}`)
      for (const { campaign } of unique)
        if (isRefused(campaign.name)) refused.push(`${client} ${day} ${campaign.id} ${campaign.name}`)
    }
  }
  return { counts: counts.sort(), refused: refused.sort() }
}

async function refusedIn(one: World): Promise<string[]> {
  const rejects = (await one.rejects()).filter(({ rule }) => rule === 'warehouse')
  return rejects
    .map(({ client, day, record, reason, held }) => {
      const { campaign_id: id, name }: { campaign_id?: unknown; name?: unknown } = JSON.parse(record)
      return `${client} ${day} ${id} ${name}${/^is refused by (DuckDB|BigQuery): .{10}/.test(reason) ? '' : reason}${held ? ' held' : ''}`
    })
    .sort()
}

const drawnDay = fc.integer({ min: 0, max: 25 }).chain(count =>
  fc.record({
    count: fc.constant(count),
    refused: count === 0 ? fc.constant([]) : fc.uniqueArray(fc.nat(count - 1), { maxLength: 3 }),
  }),
)

t.setTimeout(240_000)

for (const [name, open] of Object.entries(WAREHOUSES)) {
  t.test(`${name}: the table is the API without the rows that are refused, and those are the rejects`, async t => {
    await fc.assert(
      fc.asyncProperty(fc.array(drawnDay, { minLength: 6, maxLength: 6 }), async drawn => {
        const one = await world(open, 1)
        try {
          setUp(one, drawn)
          const { exitCode } = await one.run()
          const wanted = expected(one)
          t.ok(exitCode === 0 || drawn.every(({ count }) => count === 0))
          t.strictSame((await one.counts()).sort(), wanted.counts)
          t.strictSame(await refusedIn(one), wanted.refused)
          for (const { extracted, staged, rejected, deduplicated } of one.attempts()) {
            t.equal(extracted, Number(staged) + Number(rejected) + Number(deduplicated), 'every record is accounted for')
          }
          t.match(await one.run(), { totals: { states: { unchanged: { chunks: 2 } } } }, 'the same again is the same')
          t.strictSame(await refusedIn(one), wanted.refused)
          t.match(await one.verified(), { divergences: [] })
        } finally {
          await one.close()
        }
      }),
      { numRuns: Number(process.env.PROPERTY_RUNS ?? 3), endOnFailure: true },
    )
  })

  t.test(`${name}: refused rows count against what the pipeline allows, and what was there stays`, async t => {
    const one = await world(open, 0.1)
    t.teardown(() => one.close())
    const all = (refused: readonly number[]): Drawn[] => Array.from({ length: 6 }, () => ({ count: 8, refused }))
    setUp(one, all([]))
    t.equal((await one.run()).exitCode, 0)
    const before = await one.counts()
    setUp(one, all([2]))
    t.equal((await one.run()).exitCode, 42)
    t.match(one.errors, [
      { code: 'REJECTS_TOO_MANY', message: /3 of 27 records rejected, 10 % allowed/ },
      { code: 'REJECTS_TOO_MANY' },
    ])
    t.strictSame(await one.counts(), before)
    t.strictSame(
      await refusedIn(one),
      expected(one).refused.map(text => `${text} held`),
    )
    t.strictSame(await one.doubtful(), [], 'nothing was published, and the ledger knows')
    setUp(one, all([]))
    t.equal((await one.run()).exitCode, 0, 'and when they are right, they are published')
    t.strictSame(await refusedIn(one), [])
  })

  t.test(`${name}: a chunk of which too many rows are refused is held as a whole`, async t => {
    const one = await world(open, 1)
    t.teardown(() => one.close())
    setUp(
      one,
      Array.from({ length: 6 }, (_, index) => ({
        count: 20,
        refused: index < 3 ? Array.from({ length: 20 }, (_, n) => n) : [1],
      })),
    )
    t.equal((await one.run()).exitCode, 42)
    t.match(one.errors, [{ code: 'STAGED_UNREADABLE', message: /refuses more than 10 of \d+ rows/, hint: /one cause/ }])
    t.ok(
      (await one.counts()).every(text => text.startsWith("o'brien ")),
      'the other is published',
    )
    t.equal((await refusedIn(one)).length, 3)
  })
}
