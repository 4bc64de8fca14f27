import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { FaultPoint } from '../lib/attempt/attempt.ts'
import { addDays, daysOf } from '../lib/chunk.ts'
import type { RunEvent } from '../lib/index.ts'
import { folder, sql } from './ledger/kit.ts'
import { type AdRecord, AdsApi, ad, adsPipeline } from './support/ads.ts'
import { deadOwner, rows, run } from './support/run.ts'

const FROM = '2026-03-01'
const TO = '2026-03-07'
const WINDOW = { from: FROM, to: TO }

/** An API with one record per client and day that gives some days at once, and no more. */
function setup(t: Test, mostDays: number, clients: readonly string[] = ['a']) {
  const api = new AdsApi()
  api.mostDays = mostDays
  for (const client of clients) for (const day of daysOf(WINDOW)) api.set(client, day, [ad(client, day, 'k')])
  const path = folder(t)
  const pipeline = adsPipeline(api.connector(2), { days: 7 })
  const events: RunEvent[] = []
  return {
    api,
    path,
    events,
    options: { folder: path, pipeline, ...WINDOW, clients, observe: (event: RunEvent) => void events.push(event) },
  }
}

/** The windows of the chunks of all runs, and their states. */
function chunks(path: string): string[] {
  const found = sql(join(path, 'ledger.sqlite'), 'SELECT * FROM chunk ORDER BY client, window_from')
  return found.map(({ client, window_from, window_to, state }) => `${client} ${window_from}..${window_to} ${state}`)
}

t.test('a window that is too large is read in halves, down to what the API gives', async t => {
  const { path, options, events } = setup(t, 2)
  const { exitCode, progress, totals } = await run(options)
  t.equal(exitCode, 0)
  t.same(chunks(path), [
    'a 2026-03-01..2026-03-02 published',
    'a 2026-03-03..2026-03-04 published',
    'a 2026-03-05..2026-03-06 published',
    'a 2026-03-07..2026-03-07 published',
  ])
  t.equal(progress.published, 4)
  t.match(totals.states.published, { chunks: 4, extracted: 7, staged: 7, inserted: 7 }, 'what was read in vain does not count')
  t.same(await rows(path, 'SELECT count(*)::INT AS n, count(DISTINCT date)::INT AS days FROM ads.campaigns'), [{ n: 7, days: 7 }])
  const warnings = events.flatMap(event => (event.type === 'warning' ? `${event.name} ${event.message}` : []))
  // The two halves are read at the same time.
  t.same(warnings.toSorted(), [
    'WINDOW_HALVED campaigns/a/2026-03-01..2026-03-04: read again as 2026-03-01..2026-03-02 and 2026-03-03..2026-03-04: more than 2 days',
    'WINDOW_HALVED campaigns/a/2026-03-01..2026-03-07: read again as 2026-03-01..2026-03-04 and 2026-03-05..2026-03-07: more than 2 days',
    'WINDOW_HALVED campaigns/a/2026-03-05..2026-03-07: read again as 2026-03-05..2026-03-06 and 2026-03-07: more than 2 days',
  ])
  const outcomes = sql(join(path, 'ledger.sqlite'), 'SELECT outcome, count(*) AS n FROM attempt GROUP BY 1 ORDER BY 1')
  t.same(outcomes, [
    { outcome: 'WINDOW_TOO_LARGE', n: 3 },
    { outcome: 'published', n: 4 },
  ])
})

t.test('a single day that is too large fails like anything else, and takes nobody with it', async t => {
  const { api, path, options } = setup(t, 1, ['a', 'b'])
  const whole = api.connector(2)
  const source: typeof whole = {
    ...whole,
    pages: request => {
      api.mostDays = request.client === 'a' && request.window.from === '2026-03-03' ? 0 : 1
      return whole.pages(request)
    },
  }
  const pipeline = adsPipeline(source, { days: 7 })
  const { exitCode, progress } = await run({ ...options, pipeline, settings: { concurrency: 1 } })
  t.equal(exitCode, 1)
  t.match(progress, { published: 13, failed: 1 })
  const [problem] = sql(join(path, 'ledger.sqlite'), "SELECT * FROM chunk WHERE state = 'failed'")
  t.match(problem, { client: 'a', window_from: '2026-03-03', attempts: 3, problem_code: 'WINDOW_TOO_LARGE' })
  t.match(await run({ ...options, pipeline: adsPipeline(whole, { days: 7 }) }), { exitCode: 0, progress: { published: 14 } })
})

t.test('a process that dies anywhere between the halves leaves every day to exactly one chunk', async t => {
  const points: FaultPoint[] = ['claimed', 'page', 'staged', 'committing', 'committed', 'recorded']
  for (const at of points) {
    for (const after of [0, 3]) {
      const { path, options } = setup(t, 2)
      const died = Promise.withResolvers<void>()
      let left = after
      const fault = (point: FaultPoint): Promise<void> | undefined => {
        if (point !== at || left-- > 0) return undefined
        died.resolve()
        return new Promise(() => undefined)
      }
      const zombie = run({ ...options, fault, owner: deadOwner(), settings: { concurrency: 1 } })
      await Promise.race([zombie, died.promise])
      const days = chunks(path).map(text => /(\S+)\.\.(\S+) /.exec(text)?.slice(1) ?? [])
      t.same(
        days.flatMap(([from = '', to = '']) => daysOf({ from, to })),
        daysOf(WINDOW),
        `${at} ${after}`,
      )
      const { exitCode, run: resumed } = await run(options)
      t.equal(exitCode, 0)
      t.equal(resumed.resumed, true)
      t.same(
        await rows(path, 'SELECT date::VARCHAR AS day, count(*)::INT AS n FROM ads.campaigns GROUP BY 1 ORDER BY 1'),
        daysOf(WINDOW).map(day => ({ day, n: 1 })),
      )
    }
  }
})

t.test('what was published of a window by its halves is compared day by day when it is read again', async t => {
  const { api, path, options, events } = setup(t, 3)
  await run(options)
  api.mostDays = 7
  t.match(await run(options), { exitCode: 0, progress: { unchanged: 1, published: 0 } })
  api.mostDays = 1
  const changed = addDays(FROM, 4)
  api.set('a', changed, [ad('a', changed, 'k', 9)] satisfies AdRecord[])
  t.match(await run(options), { exitCode: 0, progress: { unchanged: 6, published: 1 } })
  t.equal(events.filter(event => event.type === 'warning' && event.name === 'RESTATED').length, 1)
  t.same(await rows(path, 'SELECT sum(clicks)::INT AS clicks FROM ads.campaigns'), [{ clicks: 15 }])
})
