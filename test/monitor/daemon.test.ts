import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { AdsApi, adsPipeline } from '../support/ads.ts'
import { startDaemon } from '../support/daemon.ts'

t.test('a daemon looks what is wrong as soon as it is up, and shows it with its metrics', async t => {
  const schedule = [{ name: 'daily', cron: '0 6 * * *', lookbackDays: 3 }]
  const daemon = startDaemon(t, {
    folder: t.testdir(),
    clients: ['a'],
    pipelines: [adsPipeline(new AdsApi().connector(10), { schedule })],
  })
  const gauge = async (name: string): Promise<number | undefined> =>
    (await daemon.registry.getSingleMetric(name)?.get())?.values[0]?.value
  while ((await gauge('headrace_monitor_run_timestamp_seconds')) === undefined) await setTimeout(20)
  t.ok(((await gauge('headrace_monitor_run_timestamp_seconds')) ?? 0) > Date.now() / 1_000 - 60)
  t.equal(await gauge('headrace_freshness_slo_seconds'), 36 * 3_600)
  daemon.stop()
  t.equal(await daemon.ended, 0)
})
