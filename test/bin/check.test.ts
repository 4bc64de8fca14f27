import t from 'tap'
import { project } from './project.ts'

t.test('check --apply adds what may be added, says what it did not, and does nothing twice', async t => {
  const { headrace, backfill, configure, query } = await project(t)
  t.equal((await backfill()).code, 0)
  const map = "map: { ...map, region: optional(text('region')), units: integer('clicks') },"
  const table = (more: string): string =>
    `table: defineTable('shop.ads', { ...columns, region: nullable(string()), ${more} }, { partitionBy: 'date' }), ${map}`
  await configure({ pipeline: table('units: int64()') })
  const [plain, applied] = [await headrace('check'), await headrace('check', '--apply', '--json')]
  t.equal(plain.code, 2)
  t.match(plain.stdout, /ads +shop\.ads +differs from its declaration/)
  t.match(plain.stderr, /column region is missing; column units is missing\n.*headrace check --apply adds region/)
  t.equal(applied.code, 2)
  t.match(applied.json(), {
    command: 'check',
    tables: [{ table: 'shop.ads', exists: true, widened: ['shop.ads: column region added'] }],
    error: { code: 'TABLE_MISMATCH', message: /: column units is missing$/, hint: /units is required.*declare it nullable/ },
  })
  await configure({ pipeline: table('units: nullable(int64())') })
  const [first, again] = [await headrace('check', '--apply'), await headrace('check', '--apply')]
  t.equal(first.code, 0)
  t.match(first.stdout, /ads +shop\.ads +as declared\n\nshop\.ads: column units added\n$/)
  t.match(again.stdout, /as declared\n\nNothing was changed\.\n$/)
  t.equal((await backfill('--clients', 'acme')).code, 0)
  t.same(await query('SELECT client_id, count(units)::INTEGER AS units FROM shop.ads GROUP BY ALL ORDER BY ALL'), [
    { client_id: 'acme', units: 6 },
    { client_id: 'globex', units: 0 },
  ])
})
