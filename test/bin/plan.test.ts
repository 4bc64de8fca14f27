import t from 'tap'
import { MAY, project } from './project.ts'

t.test('a plan says what is to be expected of it, and what that rests on', async t => {
  const { headrace, backfill } = await project(t)
  const before = await headrace('plan', ...MAY)
  t.match(before.stdout, /expected +about +by\nrows +unknown +nothing of this pipeline was published yet\n/)
  t.match(before.stdout, /bytes billed +0 bytes +duckdb charges nothing\n/)
  t.equal((await backfill()).code, 0)
  const [after, json, nothing] = await Promise.all([
    headrace('plan', '--from', '2025-05-04', '--to', '2025-05-13'),
    headrace('plan', '--from', '2025-05-04', '--to', '2025-05-13', '--json'),
    headrace('plan', ...MAY, '--missing', '--json'),
  ])
  t.match(after.stdout, /rows +40 +the median of the newest published days of each client\n/)
  t.match(after.stdout, /requests +20 +the newest 6 chunks, day for day\n/)
  t.match(after.stdout, /time +\d.* s +the newest 6 chunks/)
  t.match(json.json(), {
    chunks: { length: 20 },
    estimate: { rows: { about: 40 }, requests: { about: 20 }, seconds: { about: Number }, bytesBilled: { about: 0 } },
  })
  t.match(nothing.json(), { chunks: [], estimate: null })
})

const SCHEDULED = {
  clients: "['acme', { id: 'globex', timeZone: 'Asia/Kathmandu' }]",
  pipeline: "chunk: { days: 3 }, schedule: [{ name: 'daily', cron: '0 6 * * *', lookbackDays: 3 }],",
  before:
    "const orders = definePipeline({ ...options, name: 'orders', table: defineTable('shop.orders', columns, { partitionBy: 'date' }), after: ['ads'] })",
  pipelines: '[ads, orders]',
}

t.test('without days, the plan is what is due, why, what it waits for, and when more will be', async t => {
  const { headrace, configure } = await project(t, SCHEDULED)
  const at = ['--at', '2025-05-10T06:00:00Z']
  const [all, one, json] = await Promise.all([
    headrace('plan', ...at),
    headrace('plan', ...at, '--pipeline', 'orders', '--clients', 'globex'),
    headrace('plan', ...at, '--json'),
  ])
  t.equal(all.code, 0)
  t.match(all.stdout, /^2025-05-10 06:00 UTC, 2 clients: 4 chunks due\n\nads: 2 chunks due, 2 live\n/)
  t.match(all.stdout, /orders: 2 chunks due, 2 live\n {2}2 wait until ads has published their days\n/)
  t.match(all.stdout, /acme +2025-05-07\.\.2025-05-09 +live +daily +ads\n/)
  t.match(all.stdout, /ads +daily +0 6 \* \* \* +3 days +2025-05-11 00:15 UTC \(Asia\/Kathmandu\)\n/)
  t.match(one.stdout, /1 client: 1 chunk due\n\norders: 1 chunk due, 1 live\n/)
  t.match(json.json(), {
    command: 'plan',
    at: '2025-05-10T06:00:00.000Z',
    pipelines: [
      {
        pipeline: 'ads',
        schedules: [{ name: 'daily', next: '2025-05-11T00:15:00.000Z' }],
        estimate: { bytesBilled: { about: 0 } },
        chunks: [{ client: 'acme', from: '2025-05-07', to: '2025-05-09', why: 'new', priority: 'live', reasons: ['daily'] }, {}],
      },
      { pipeline: 'orders', after: [{ pipeline: 'ads' }], chunks: [{ waitsFor: ['ads'] }, { waitsFor: ['ads'] }] },
    ],
  })
  await configure({})
  const never = await headrace('plan')
  t.match(never.stdout, /: 0 chunks due\n\nNo schedule is declared, so nothing is ever due by itself\./)
})

t.test('what is published long ago and since then not is due, and no longer waits for what is published', async t => {
  const { headrace } = await project(t, SCHEDULED)
  const window = ['--from', '2025-05-01', '--to', '2025-05-09', '--clients', 'acme']
  for (const args of [
    [...MAY, '--pipeline', 'orders', '--clients', 'acme'],
    [...window, '--pipeline', 'ads'],
  ]) {
    t.equal((await headrace('backfill', ...args)).code, 0)
  }
  const plan = await headrace('plan', '--at', '2025-05-12T06:00:00Z', '--clients', 'acme', '--json')
  const [ads, orders] = (plan.json() as { pipelines: { chunks: unknown[] }[] }).pipelines
  t.match(ads?.chunks, [{ from: '2025-05-09', to: '2025-05-11', why: 'partly', reasons: ['daily'] }])
  t.match(orders?.chunks, [
    { from: '2025-05-04', to: '2025-05-04', priority: 'backfill', reasons: ['missing'], waitsFor: [] },
    { from: '2025-05-05', to: '2025-05-07', priority: 'live', reasons: ['missing'], waitsFor: [] },
    { from: '2025-05-08', to: '2025-05-10', priority: 'live', reasons: ['missing', 'daily'], waitsFor: ['ads'] },
    { from: '2025-05-11', to: '2025-05-11', priority: 'live', reasons: ['daily'], waitsFor: ['ads'] },
  ])
})

t.test('a plan is of a backfill or of what is due, and says so when it is told both', async t => {
  const { headrace } = await project(t)
  for (const [args, message] of [
    [['--from', '2025-05-01'], 'a backfill has --from and --to'],
    [['--missing'], 'a backfill has --from and --to'],
    [[...MAY, '--at', '2025-05-10T06:00:00Z'], '--at is for what is due, --from and --to are for a backfill'],
    [['--at', '2025-05-10'], '--at 2025-05-10 is not an instant'],
  ] as const) {
    const { code, stderr } = await headrace('plan', ...args)
    t.equal(code, 2)
    t.match(stderr, message)
  }
})
