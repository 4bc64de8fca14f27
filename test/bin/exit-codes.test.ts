import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import t from 'tap'
import { recordsOf } from './api.ts'
import { project } from './project.ts'

t.test('1 when a chunk failed that may succeed later: the others are published, and the same command reads the rest', async t => {
  const { headrace, backfill, api, query } = await project(t, {}, ({ client, from }) =>
    client === 'acme' && from === '2025-05-02' ? { status: 503, body: 'overloaded' } : undefined,
  )
  const ran = await backfill()
  t.equal(ran.code, 1)
  t.match(ran.stderr, /failed: API_FAILED: ads\/acme\/2025-05-02: http:\S+\/records answered 503 \(overloaded\)/)
  t.match(ran.stdout, /published +5 +10 +10/)
  t.match(ran.stdout, /failed +1 +0 +0/)
  t.match(ran.stdout, /all +6 +10 +10/)
  t.match(
    ran.stdout,
    /\nfailed: acme, 2025-05-02\n {2}API_FAILED: .*\n {2}Nothing of this chunk was published\. Run again later\./,
  )
  const status = await headrace('status')
  t.match(status.stdout, /acme +2025-05-01 +2025-05-01 +2025-05-03 +2 +4 +0 +2025-05-02\n/)
  t.match(status.stdout, '\nfailed: acme, 2025-05-02\n')

  api.script = () => undefined
  const before = api.asked.length
  const again = await backfill()
  t.equal(again.code, 0)
  t.match(again.stderr, /^taking up the run of \d{4}-\d\d-\d\d \d\d:\d\d UTC: 1 of 6 chunks left\n/)
  t.equal(api.asked.length, before + 1)
  t.same(await query('SELECT count(*)::INTEGER AS rows FROM shop.ads'), [{ rows: 12 }])
  t.notMatch((await headrace('status')).stdout, 'failed')
})

t.test('1 when the API asks to wait longer than headrace waits: the account is parked, and the others go on', async t => {
  const { backfill } = await project(t, {}, ({ client, from }) =>
    client === 'acme' && from === '2025-05-02' ? { status: 429, headers: { 'retry-after': '7200' }, body: '{}' } : undefined,
  )
  const ran = await backfill('--concurrency', '1')
  t.equal(ran.code, 1)
  t.match(
    ran.stdout,
    /parked, not before \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC: acme, 2025-05-02\n {2}API_THROTTLED: .* asks to wait 720\d s/,
  )
  t.match(
    ran.stdout,
    /parked, not before .*: acme, 2025-05-03\n {2}API_THROTTLED: ads-api gives nothing for acme for another 7\d\d\d s/,
  )
  t.match(ran.stdout, /published +4 /)
})

t.test(
  '42 when a chunk is held for a person, whatever else failed: the rejects are kept and nothing of it is published',
  async t => {
    const { headrace, backfill, query } = await project(
      t,
      { pipeline: 'checks: { rejects: { atMost: 0.1 } },' },
      ({ client, from }) => {
        if (client === 'globex' && from === '2025-05-03') return { status: 500, body: 'oops' }
        if (client !== 'acme' || from !== '2025-05-02') return undefined
        const [brand, search] = recordsOf(client, from)
        return { body: { data: [brand, { ...search, clicks: -1 }] } }
      },
    )
    const ran = await backfill()
    t.equal(ran.code, 42)
    t.match(ran.stdout, /held +1 +2 +1 +1 /)
    t.match(
      ran.stdout,
      /held: acme, 2025-05-02\n {2}REJECTS_TOO_MANY: .*: 1 of 2 records rejected, 10 % allowed\n {2}Nothing of this chunk was published/,
    )
    t.same(await query("SELECT count(*)::INTEGER AS rows FROM shop.ads WHERE client_id = 'acme' AND date = '2025-05-02'"), [
      { rows: 0 },
    ])
    const rejects = await headrace('rejects')
    t.equal(rejects.code, 0)
    t.match(rejects.stdout, /acme, 2025-05-02, chunk held: column clicks -1 is below the minimum 0\n {2}\{"account":"acme"/)
    const status = (await headrace('status', '--json')).json()
    t.match(status, {
      pipelines: [
        {
          problems: [
            { state: 'failed', problem: { code: 'API_FAILED' } },
            { state: 'held', problem: { code: 'REJECTS_TOO_MANY' } },
          ],
        },
      ],
    })
  },
)

t.test('42 when the API refuses the credentials', async t => {
  const { backfill } = await project(t, {}, () => ({ status: 401, body: { error: 'no valid key' } }))
  const ran = await backfill('--clients', 'acme', '--json')
  t.equal(ran.code, 42)
  t.match(ran.json(), {
    exitCode: 42,
    states: { held: { chunks: 3 } },
    problems: [{ state: 'held', problem: { code: 'API_REFUSED' } }],
  })
})

t.test('42 when not one record arrived from any chunk, unless the pipeline says that it may happen', async t => {
  const { backfill, configure } = await project(t, {}, () => ({ body: { data: [] } }))
  const ran = await backfill()
  t.equal(ran.code, 42)
  t.match(ran.stdout, "Not one record arrived from any chunk. If that is right, say so with `empty: 'allow'`")
  t.match(await backfill('--json').then(({ code }) => code), 42)
  await configure({ pipeline: "checks: { empty: 'allow' }," })
  const allowed = await backfill()
  t.equal(allowed.code, 0)
  t.notMatch(allowed.stdout, 'Not one record')
})

t.test('42 when the table differs from the ledger; a backfill mends it', async t => {
  const { folder, headrace, backfill } = await project(t)
  t.equal((await backfill()).code, 0)
  const instance = await DuckDBInstance.create(join(folder, 'warehouse.duckdb'))
  const connection = await instance.connect()
  await connection.run("DELETE FROM shop.ads WHERE client_id = 'acme' AND date = '2025-05-01'")
  await connection.run(
    "UPDATE shop.ads SET clicks = clicks + 1 WHERE client_id = 'globex' AND date = '2025-05-02' AND campaign = 'brand'",
  )
  await connection.run(
    "INSERT INTO shop.ads BY NAME SELECT * REPLACE ('stranger' AS client_id) FROM shop.ads WHERE date = '2025-05-03' LIMIT 1",
  )
  connection.closeSync()
  instance.closeSync()

  const [told, json] = await Promise.all([headrace('verify'), headrace('verify', '--json')])
  t.equal(told.code, 42)
  t.match(told.stdout, /^ads: shop\.ads holds 11 rows of 3 clients; 7 days compared, 3 days not as in the ledger\n/)
  t.match(told.stdout, /acme +2025-05-01 +0 rows in the table, 2 in the ledger\n/)
  t.match(told.stdout, /globex +2025-05-02 +sum of clicks is 42 in the table, 41 in the ledger\n/)
  t.match(told.stdout, /stranger +2025-05-03 +1 rows in the table, nothing in the ledger\n/)
  t.equal(json.code, 42)
  t.match(json.json(), {
    results: [{ divergences: [{ client: 'acme' }, { client: 'globex' }, { client: 'stranger' }], more: 0 }],
  })

  const mended = await backfill()
  t.equal(mended.code, 0)
  t.match(mended.stderr, /TABLE_DIVERGED: ads\/acme\/2025-05-01: the table did not hold what was published before; written again/)
  t.equal((await headrace('verify', '--clients', 'acme,globex')).code, 0)
})
