import t from 'tap'
import { AdsApi, ad, adsPipeline } from './support/ads.ts'
import { deadOwner, rows, run } from './support/run.ts'

t.test('what a killed process has published unseen is not taken for what was published before', async t => {
  const folder = t.testdir()
  const day = '2026-03-01'
  const api = new AdsApi()
  const pipeline = adsPipeline(api.connector(10))
  const wanted = { folder, pipeline, from: day, to: day, clients: ['a'] }
  const says = (name: string): void => api.set('a', day, [{ ...ad('a', day, '1'), campaign: { id: '1', name } }])
  const published = async (): Promise<unknown> => (await rows(folder, 'SELECT name FROM ads.campaigns')).map(row => row.name)

  says('first')
  t.equal((await run(wanted)).exitCode, 0)

  says('second')
  // It commits, and dies before it can write that down: as many rows, the same totals, other content.
  const committed = Promise.withResolvers<void>()
  const dying = run({
    ...wanted,
    owner: deadOwner(),
    fault: async point => {
      if (point !== 'committed') return
      committed.resolve()
      await new Promise(() => {})
    },
  })
  dying.catch(() => {})
  await committed.promise
  t.same(await published(), ['second'])

  says('first')
  t.equal((await run(wanted)).exitCode, 0)
  t.same(await published(), ['first'], 'the table is as the API says now')
})
