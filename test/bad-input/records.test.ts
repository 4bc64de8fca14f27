import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import t from 'tap'
import { recordsOf } from '../bin/api.ts'
import { type Parts, project } from '../bin/project.ts'

/** One bad record beside two good ones: which rule refuses it, and what a person reads. */
interface Bad {
  readonly what: string
  /** Turns a good record into the bad one; JSON text where JavaScript has no such value. */
  readonly record: (good: Record<string, unknown>) => unknown
  readonly rule: string
  readonly says: string
  /** Part of the record as `headrace rejects` shows it. */
  readonly shows: string
}

const BAD: readonly Bad[] = [
  {
    what: 'a record that is not an object',
    record: () => 'oops',
    rule: 'record',
    says: 'record is not an object',
    shows: '"oops"',
  },
  { what: 'a record that is a list', record: () => [1, 2], rule: 'record', says: 'record is not an object', shows: '[1,2]' },
  { what: 'a record that is null', record: () => null, rule: 'record', says: 'record is not an object', shows: 'null' },
  {
    what: 'a date outside the window',
    record: good => ({ ...good, day: '2024-12-31' }),
    rule: 'window',
    says: 'column date 2024-12-31 is outside the window 2025-05-02..2025-05-02',
    shows: '"day":"2024-12-31"',
  },
  {
    what: 'a date that is none',
    record: good => ({ ...good, day: '2025-02-30' }),
    rule: 'type',
    says: 'column date "2025-02-30" ',
    shows: '"day":"2025-02-30"',
  },
  {
    what: "another client's record",
    record: good => ({ ...good, account: 'somebody' }),
    rule: 'client',
    says: 'column client_id "somebody" is not the client of the chunk, ',
    shows: '"account":"somebody"',
  },
  {
    what: 'a negative cost',
    record: good => ({ ...good, cost: '-0.01' }),
    rule: 'minimum',
    says: 'column cost "-0.01" is below the minimum 0',
    shows: '"cost":"-0.01"',
  },
  {
    what: 'a number past 2^53',
    record: good => ({ ...good, clicks: 2 ** 53 }),
    rule: 'precision',
    says: 'column clicks 9007199254740992 ',
    shows: '"clicks":9007199254740992',
  },
  {
    what: 'the text NaN for a number',
    record: good => ({ ...good, clicks: 'NaN' }),
    rule: 'type',
    says: 'column clicks "NaN" ',
    shows: '"clicks":"NaN"',
  },
  {
    what: 'an absent field',
    record: ({ cost: _, ...good }) => good,
    rule: 'required',
    says: 'column cost is absent or null, and the column is required',
    shows: '"campaign":"third"',
  },
  {
    what: 'a text that is too long',
    record: good => ({ ...good, campaign: 'x'.repeat(21) }),
    rule: 'maxLength',
    says: 'column campaign "xxxxxxxxxxxxxxxxxxxxx" is longer than 20 characters',
    shows: 'xxxxxxxxxxxxxxxxxxxxx',
  },
  {
    what: 'a key that another row has, with other values',
    record: good => ({ ...good, campaign: 'brand', clicks: 7 }),
    rule: 'key',
    says: 'key {"client_id":"client-11","date":"2025-05-02","campaign":"brand"}: another row of the chunk has the same ',
    shows: '"clicks":7',
  },
]

t.test('a bad record is refused by name and kept, and the rows beside it and every other client are published', async t => {
  const clients = BAD.map((_, index) => `client-${index}`)
  const parts: Parts = { clients: JSON.stringify([...clients, 'good']) }
  const { headrace, backfill, query } = await project(t, parts, ({ client, from }) => {
    const bad = BAD[clients.indexOf(client)]
    if (bad === undefined || from !== '2025-05-02') return undefined
    const good = recordsOf(client, from)
    return { body: { data: [...good, bad.record({ ...good[0], campaign: 'third' })] } }
  })
  const ran = await backfill()
  t.equal(ran.code, 0)
  t.match(ran.stderr, /ROWS_REJECTED: ads\/client-\d+\/2025-05-02: 1 of 3 records rejected \(\w+ 1\)/)
  t.match(ran.stderr, 'ROWS_REJECTED: further ones are only counted')
  t.match(ran.stdout, /published +39 +90 +78 +12 +0 +78 +0\n/)
  t.match(ran.stdout, /^Warnings: .*\bROWS_REJECTED 12\b/m)
  t.same(await query('SELECT count(*)::INTEGER AS rows, count(DISTINCT client_id)::INTEGER AS clients FROM shop.ads'), [
    { rows: 78, clients: 13 },
  ])

  const [told, json] = await Promise.all([headrace('rejects'), headrace('rejects', '--json')])
  const stored = await query('SELECT client_id, rule, record::VARCHAR AS record FROM shop.ads_rejects')
  for (const [index, { what, rule, says, shows }] of BAD.entries()) {
    const client = `client-${index}`
    t.match(told.stdout, `${client}, 2025-05-02: ${says}`, what)
    t.match(told.stdout, shows, what)
    const kept = stored.find(({ client_id }) => client_id === client)
    t.match(kept, { rule }, what)
    t.match(String(kept?.record), shows, what)
  }
  t.match(json.json(), { pipelines: [{ rejects: BAD.map(() => ({ day: '2025-05-02', held: false })) }] })
  t.equal((await headrace('verify')).code, 0)
})

t.test('rejects can be asked for by client and by day, and at most so many', async t => {
  const { headrace, backfill } = await project(t, {}, ({ client, from }) => ({
    body: { data: recordsOf(client, from).map(record => ({ ...record, clicks: -1 })) },
  }))
  t.equal((await backfill()).code, 0)
  const asked = await Promise.all([
    headrace('rejects', '--json', '--clients', 'acme'),
    headrace('rejects', '--json', '--from', '2025-05-02', '--to', '2025-05-03'),
    headrace('rejects', '--json', '--from', '2025-05-01'),
    headrace('rejects', '--limit', '3'),
  ])
  const sizes = asked.slice(0, 3).map(ran => (ran.json() as { pipelines: { rejects: unknown[] }[] }).pipelines[0]?.rejects.length)
  t.same(sizes, [6, 8, 4])
  t.match(asked[3].stdout, 'ads: the newest 3 rejects')
})

t.test('a row sent twice is kept once and counted', async t => {
  const { backfill } = await project(t, {}, ({ client, from }) => {
    const good = recordsOf(client, from)
    return { body: { data: [...good, good[0]] } }
  })
  const ran = await backfill('--clients', 'acme')
  t.equal(ran.code, 0)
  t.match(ran.stderr, 'ROWS_DEDUPLICATED: ads/acme/2025-05-01: 1 of 3 rows came more than once')
  t.match(ran.stdout, /published +3 +9 +6 +0 +3 +6 +0\n/)
})

t.test('a field nobody knew is told of once it appears, and changes nothing', async t => {
  const { backfill, api } = await project(t)
  t.equal((await backfill('--clients', 'acme')).code, 0)
  api.script = ({ client, from }) => ({ body: { data: recordsOf(client, from).map(record => ({ ...record, region: 'EMEA' })) } })
  const ran = await backfill('--clients', 'globex')
  t.equal(ran.code, 0)
  t.match(
    ran.stderr,
    /FIELD_ADDED: ads\/globex\/2025-05-0\d: region is in \d of \d records looked at, never seen; no column reads it/,
  )
  t.match(ran.stdout, /published +3 +6 +6 /)
})

t.test('a column missing in the table stops the pipeline by its name before anything is read', async t => {
  const { folder, headrace, backfill, api } = await project(t)
  t.equal((await backfill()).code, 0)
  const instance = await DuckDBInstance.create(join(folder, 'warehouse.duckdb'))
  const connection = await instance.connect()
  await connection.run('ALTER TABLE shop.ads DROP COLUMN cost')
  connection.closeSync()
  instance.closeSync()
  const before = api.asked.length
  for (const ran of await Promise.all([backfill(), headrace('check'), headrace('verify')])) {
    t.equal(ran.code, 2)
    t.match(ran.stderr, /^TABLE_MISMATCH: .*shop\.ads.*cost/)
  }
  t.equal(api.asked.length, before)
})
