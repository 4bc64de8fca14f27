import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { MAY, project } from './project.ts'

t.test('check and plan say what is there and what is due, and read nothing from the API', async t => {
  const { headrace, backfill, api, folder } = await project(t)
  const [check, checkJson, plan, dry] = await Promise.all([
    headrace('check'),
    headrace('check', '--json'),
    headrace('plan', ...MAY, '--clients', 'acme'),
    backfill('--dry-run', '--json'),
  ])
  t.equal(check.code, 0)
  t.match(check.stdout, /^2 clients, warehouse duckdb\n/)
  t.match(check.stdout, /ads +shop\.ads +not there yet; the first run creates it/)
  t.match(checkJson.json(), { command: 'check', clients: 2, tables: [{ pipeline: 'ads', table: 'shop.ads', exists: false }] })
  t.equal(plan.code, 0)
  t.match(plan.stdout, /^ads, 2025-05-01\.\.2025-05-03, 1 client: 3 chunks due\n {2}3 never published\n/)
  t.match(plan.stdout, /acme +2025-05-02 +never published/)
  t.match(dry.json(), { command: 'plan', pipeline: 'ads', clients: 2 })
  t.equal((dry.json() as { chunks: unknown[] }).chunks.length, 6)
  t.equal(api.asked.length, 0)
  t.notOk(existsSync(join(folder, 'warehouse.duckdb')))
})

t.test('a backfill ends with a table that accounts for every row', async t => {
  const { backfill, query } = await project(t)
  const ran = await backfill('--clients', 'acme')
  t.equal(ran.code, 0)
  t.match(ran.stderr, /^3 chunks to read\n/)
  t.match(ran.stdout, /^ads, 2025-05-01\.\.2025-05-03, 1 client, \d/)
  t.match(ran.stdout, /chunks +extracted +staged +rejected +deduplicated +inserted +deleted\npublished +3 +6 +6 +0 +0 +6 +0\n/)
  t.same(await query('SELECT count(*)::INTEGER AS rows, sum(cost)::VARCHAR AS cost FROM shop.ads'), [
    { rows: 6, cost: '10.500000000' },
  ])
  const both = await backfill('--json', '--concurrency', '2')
  t.equal(both.code, 0)
  t.match(both.json(), {
    command: 'backfill',
    pipeline: 'ads',
    from: '2025-05-01',
    to: '2025-05-03',
    clients: 2,
    resumed: false,
    exitCode: 0,
    states: {
      published: { chunks: 3, extracted: 6, inserted: 6 },
      unchanged: { chunks: 3, extracted: 6, inserted: 0 },
    },
    problems: [],
  })
})

t.test('what is published already is left alone, left out or written anew, as asked', async t => {
  const { headrace, backfill, api } = await project(t)
  t.equal((await backfill()).code, 0)
  const again = await backfill()
  t.equal(again.code, 0)
  t.match(again.stdout, 'Nothing was written: the table already holds what the API says.')

  const before = api.asked.length
  const [missing, planned] = await Promise.all([
    backfill('--missing'),
    headrace('plan', '--from', '2025-05-02', '--to', '2025-05-04', '--missing', '--json'),
  ])
  t.equal(missing.code, 0)
  t.match(missing.stdout, 'There was nothing to do: every day is published.')
  t.match(planned.json(), {
    chunks: [
      { client: 'acme', from: '2025-05-04', to: '2025-05-04', why: 'new' },
      { client: 'globex', from: '2025-05-04', to: '2025-05-04', why: 'new' },
    ],
  })
  t.equal(api.asked.length, before)

  const forced = await backfill('--force', '--json')
  t.match(forced.json(), { exitCode: 0, states: { published: { chunks: 6, inserted: 12, deleted: 12 } } })
})

t.test('a published day with other numbers is told as restated, with before and after', async t => {
  const { backfill, api } = await project(t)
  t.equal((await backfill('--clients', 'acme')).code, 0)
  api.script = ({ client, from }) =>
    from === '2025-05-02'
      ? {
          body: {
            data: [
              { account: client, day: from, campaign: 'brand', clicks: 21, cost: '9.00' },
              { account: client, day: from, campaign: 'search', clicks: 21, cost: '2.25' },
            ],
          },
        }
      : undefined
  const ran = await backfill('--clients', 'acme')
  t.equal(ran.code, 0)
  t.match(ran.stdout, '1 published day with other numbers than before.')
  t.match(ran.stdout, /acme, 2025-05-02: 2 rows; 1 new, 1 gone; clicks 41 -> 42; cost 3\.5 -> 11\.25/)
})

t.test('status shows through which day each client is complete, and its gaps', async t => {
  const { headrace, backfill } = await project(t)
  const nothing = await headrace('status')
  t.equal(nothing.code, 0)
  t.equal(nothing.stdout, 'ads: no run has finished yet\n')
  t.equal((await backfill()).code, 0)
  t.equal((await headrace('backfill', '--from', '2025-05-06', '--to', '2025-05-06', '--clients', 'globex')).code, 0)
  const [told, json] = await Promise.all([
    headrace('status'),
    headrace('status', '--json', '--pipeline', 'ads', '--clients', 'globex'),
  ])
  t.equal(told.code, 0)
  t.match(told.stdout, /^ads: last run finished \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\n/)
  t.match(told.stdout, /acme +2025-05-03 +2025-05-01 +2025-05-03 +3 +6 +0 +none/)
  t.match(told.stdout, /globex +2025-05-03 +2025-05-01 +2025-05-06 +4 +8 +0 +2025-05-04\.\.2025-05-05/)
  t.match(json.json(), {
    command: 'status',
    pipelines: [
      { clients: [{ client: 'globex', completeThrough: '2025-05-03', gaps: [{ from: '2025-05-04', to: '2025-05-05' }] }] },
    ],
  })
})

t.test('status lists how records have changed, with the chunk that showed it first', async t => {
  const { headrace, backfill, api } = await project(t)
  t.equal((await backfill()).code, 0)
  api.script = ({ client, from }) => ({
    body: { data: [{ account: client, day: from, campaign: 'brand', clicks: '7', cost: '1.25' }] },
  })
  t.equal((await headrace('backfill', '--from', '2025-05-04', '--to', '2025-05-04', '--clients', 'acme')).code, 0)
  const [told, json] = await Promise.all([headrace('status'), headrace('status', '--json')])
  t.match(
    told.stdout,
    /\n\ntype_changed: clicks is of type string in 1 of 1 records, before number\n {2}first \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC: acme, 2025-05-04; last .* UTC; 1 client\n/,
  )
  t.match(json.json(), {
    pipelines: [{ drifts: [{ change: 'type_changed', path: 'clicks', value: 'string', first: { client: 'acme' }, clients: 1 }] }],
  })
})

t.test('verify, rejects and describe tell people and machines the same', async t => {
  const { headrace, backfill } = await project(t)
  t.equal((await backfill()).code, 0)
  const [verify, verifyJson, rejects, rejectsJson, describe, describeJson] = await Promise.all([
    headrace('verify'),
    headrace('verify', '--json', '--clients', 'acme'),
    headrace('rejects'),
    headrace('rejects', '--json'),
    headrace('describe', '--pipeline', 'ads'),
    headrace('describe', '--json'),
  ])
  t.same(
    [verify, verifyJson, rejects, rejectsJson, describe, describeJson].map(({ code }) => code),
    [0, 0, 0, 0, 0, 0],
  )
  t.equal(verify.stdout, 'ads: shop.ads holds 12 rows of 2 clients; 6 days compared, all as the ledger says\n')
  t.match(verifyJson.json(), { command: 'verify', results: [{ pipeline: 'ads', clients: 1, days: 3, rows: 6, divergences: [] }] })
  t.equal(rejects.stdout, 'ads: no rejects\n')
  t.match(rejectsJson.json(), { command: 'rejects', pipelines: [{ pipeline: 'ads', rejects: [] }] })
  t.match(describe.stdout, '`cost`')
  t.match(describeJson.json(), { command: 'describe', pipelines: [{ name: 'ads', table: 'shop.ads' }] })
})
