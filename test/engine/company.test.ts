import { once } from 'node:events'
import t from 'tap'
import { defineConnector } from '../../lib/index.ts'
import { type AdRecord, ad, adsPipeline } from '../support/ads.ts'
import { rows, run } from '../support/run.ts'

t.test('a commit waits for what is being read, and no longer than that', async t => {
  const folder = t.testdir()
  const staged = Promise.withResolvers<void>()
  const source = defineConnector<AdRecord>({
    name: 'ads',
    async *pages({ client }) {
      // The second is read until the first waits for company.
      if (client === 'b') await staged.promise
      yield [ad(client, '2026-03-01', 'x')]
    },
  })
  const result = await run({
    folder,
    pipeline: adsPipeline(source),
    from: '2026-03-01',
    to: '2026-03-01',
    clients: ['a', 'b'],
    settings: { concurrency: 2 },
    // A clock that stands still: no wait ends because its time is over.
    sleep: async (_, signal) => void (await once(signal, 'abort')),
    fault: point => {
      if (point === 'staged') staged.resolve()
    },
  })
  t.equal(result.exitCode, 0)
  t.same(await rows(folder, 'SELECT count(*) AS n FROM ads.campaigns'), [{ n: '2' }])
})
