import t from 'tap'
import { MAY, project } from './project.ts'

t.test('a table is ready once every client has its days, and the exit code says so', async t => {
  const { headrace, backfill } = await project(t)
  const before = await headrace('ready', 'shop.ads', '--through', '2025-05-03')
  t.equal(before.code, 1)
  t.match(
    before.stdout,
    /^shop\.ads is not ready through 2025-05-03\n {2}complete: no; 0 of 2 clients, not all of them have any day\n/,
  )
  t.match(before.stdout, '  missing: acme, everything through 2025-05-03\n')
  await backfill('--clients', 'acme')
  t.equal((await headrace('ready', 'shop.ads', '--through', '2025-05-03')).code, 1)
  t.equal((await headrace('ready', 'shop.ads', '--through', '2025-05-03', '--client', 'acme')).code, 0)
  await backfill('--clients', 'globex')
  const after = await headrace('ready', 'shop.ads', '--through', '2025-05-03', '--json')
  t.equal(after.code, 0)
  t.match(after.json(), { ready: true, completeThrough: '2025-05-03', coverage: { clients: { required: 2, complete: 2 } } })
  t.equal((await headrace('ready', 'shop.ads', '--through', '2025-05-04')).code, 1)
})

t.test('a question that makes no sense ends with 2', async t => {
  const { headrace } = await project(t)
  const cases: readonly (readonly [args: readonly string[], message: string])[] = [
    [['shop.ad', '--through', '2025-05-03'], 'there is no table shop.ad, only shop.ads'],
    [['shop.ads', '--through', '2025-02-30'], '--through 2025-02-30 is not a day'],
    [['shop.ads', '--through', MAY[1], '--client', 'nobody'], 'nobody'],
    [['shop.ads'], "required option '--through <day>' not specified"],
  ]
  for (const [args, message] of cases) {
    const ran = await headrace('ready', ...args)
    t.equal(ran.code, 2, args.join(' '))
    t.match(ran.stderr, message)
  }
})
