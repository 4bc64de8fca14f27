import { addDays } from '../../lib/chunk.ts'
import type { ClientEntry } from '../../lib/config.ts'
import { type Config, defineConfig, definePipeline, duckdb } from '../../lib/index.ts'
import type { Claim, Ledger, Problem } from '../../lib/ledger/ledger.ts'
import { client, day } from '../../lib/mapping.ts'
import { date, defineTable, string } from '../../lib/table.ts'
import { chunksOf, request, stage, summaryOf } from '../ledger/kit.ts'
import { publish } from '../published.ts'
import { AdsApi } from '../support/ads.ts'

/** Seven in the morning. */
export const SEVEN = Date.UTC(2026, 10, 22, 7)

const YESTERDAY = '2026-11-21'
const MONTH = { from: '2026-10-20', to: YESTERDAY }
const HOSTILE = `<script>alert("x")</script>'&`

/** A pipeline that is due at six. */
function pipeline(name: string, after: readonly string[] = []) {
  const table = defineTable(
    `ads.${name.replace('-', '_')}`,
    { client_id: string(), date: date() },
    { partitionBy: 'date', key: ['client_id', 'date'] },
  )
  return definePipeline({
    name,
    source: new AdsApi().connector(1),
    table,
    map: { client_id: client(), date: day('date') },
    schedule: [{ name: 'daily', cron: '0 6 * * *', lookbackDays: 3 }],
    after,
  })
}

/** The configuration that the story is about. */
export function storyConfig(ledger: Ledger, clients: readonly ClientEntry[]): Config {
  return defineConfig({
    pipelines: [pipeline('accounts'), pipeline('keyword-performance', ['accounts'])],
    clients,
    warehouse: duckdb({ path: ':memory:' }),
    ledger,
  })
}

/** Names of so many clients, one of them somebody's attempt at a script. */
export function storyClients(count: number): string[] {
  return [HOSTILE, ...Array.from({ length: count - 1 }, (_, index) => `client-${String(index + 1).padStart(3, '0')}`)]
}

const DROP: Problem = {
  code: 'VOLUME_DROP',
  message: `accounts/${HOSTILE}: 12 rows, 1,204 when last published; at least 50 % of that expected`,
  hint: 'Nothing of this chunk was published, what was there stays. If the API is right, run the chunk again with --force.',
}
const DOWN: Problem = {
  code: 'API_FAILED',
  message: 'GET https://ads.example.com/v1/customers/<b>3</b>/keywords answered 502 Bad Gateway, 6 times in 41 s',
  hint: 'Nothing of this chunk was published. Run again when the API answers.',
}

/** Tells a ledger a morning on which something of everything has happened. */
export async function tell(ledger: Ledger, clients: readonly string[]): Promise<void> {
  const [hostile = '', held = '', failed = '', parked = '', reading = '', waits = '', gap = '', restated = '', ...well] = clients
  const taken = { requests: 1, startedAt: 1, finishedAt: SEVEN - 3_600_000 }
  const whole = (pipeline: string, client: string, to = YESTERDAY) =>
    publish(ledger, pipeline, client, { from: MONTH.from, to }, 1_204, taken)
  for (const client of [hostile, held, ...well]) await whole('accounts', client)
  for (const client of [failed, parked, reading, waits, restated]) await whole('accounts', client, addDays(YESTERDAY, -1))
  await publish(ledger, 'accounts', gap, { from: MONTH.from, to: '2026-11-10' }, 1_204, taken)
  await publish(ledger, 'accounts', gap, { from: '2026-11-13', to: YESTERDAY }, 1_204, taken)
  for (const client of [hostile, held, gap, restated, ...well]) await whole('keyword-performance', client)
  for (const client of [failed, parked, reading, waits]) await whole('keyword-performance', client, addDays(YESTERDAY, -1))

  const begin = async (client: string, pipeline = 'accounts', from = YESTERDAY): Promise<Claim> => {
    const asked = request({ command: 'schedule', pipeline, clients: [client], window: { from, to: YESTERDAY } })
    const run = await ledger.beginRun(asked, chunksOf(asked, 9), { served: true })
    const claim = run === undefined ? undefined : await ledger.claim(run.id, 60_000)
    if (claim === undefined || 'waitMs' in claim) throw new Error(`${client} could not be claimed`)
    return claim
  }
  for (const [client, state, problem, from] of [
    [hostile, 'held', DROP, '2026-11-19'],
    [held, 'held', DROP, YESTERDAY],
    [failed, 'failed', DOWN, YESTERDAY],
    [parked, 'parked', { ...DOWN, code: 'API_THROTTLED', message: 'asked to wait until 09:00' }, YESTERDAY],
  ] as const) {
    const claim = await begin(client, 'accounts', from)
    const notBefore = state === 'parked' ? { notBefore: SEVEN + 7_200_000 } : {}
    await ledger.settle(claim.attemptId, { state, problem, certain: true, ...notBefore }, summaryOf(claim))
  }
  await begin(reading)
  const waiting = request({
    command: 'schedule',
    pipeline: 'accounts',
    clients: [waits],
    window: { from: YESTERDAY, to: YESTERDAY },
  })
  await ledger.beginRun(waiting, chunksOf(waiting), { served: true })
  const behind = request({
    command: 'schedule',
    pipeline: 'keyword-performance',
    clients: [failed, waits],
    window: waiting.window,
  })
  await ledger.beginRun(behind, chunksOf(behind), { served: true })
  const changed = await begin(restated, 'accounts', '2026-11-18')
  await stage(ledger, changed)
  await ledger.committing([changed.attemptId])
  const change = { pipeline: 'accounts', client: restated, added: 73, removed: 92, rowsBefore: 1_204, rowsAfter: 1_185 }
  const totals = { totalsBefore: { clicks: '9120', cost: '5123.50' }, totalsAfter: { clicks: '9120', cost: '4987.25' } }
  await ledger.published(changed.attemptId, summaryOf(changed), [
    { ...change, ...totals, day: '2026-11-18', at: SEVEN - 600_000 },
    { ...change, ...totals, day: '2026-11-19', at: SEVEN - 600_000 },
  ])
  await ledger.recordAction({
    who: '127.0.0.1',
    action: 'retry',
    subject: `accounts/${HOSTILE}/2026-11-02`,
    outcome: 'was failed',
  })
}
