import { Registry } from 'prom-client'
import t from 'tap'
import { daysOf } from '../../lib/chunk.ts'
import { TransientError } from '../../lib/errors.ts'
import { createMetrics } from '../../lib/metrics.ts'
import { MONITORS } from '../../lib/monitor/finding.ts'
import { setGauges } from '../../lib/monitor/gauges.ts'
import { watch } from '../../lib/monitor/watch.ts'
import { ledgerOf, publish } from '../published.ts'
import { agoMs, dayAgo, pipelineOf, readAt, YESTERDAY } from './kit.ts'

const clients = ['a', 'b'].map(id => ({ id, timeZone: 'UTC' }))
const pipelines = [pipelineOf({ freshness: { hours: 6 }, budget: { bytesPerDay: 10, bytesPerMonth: 100 } })]

/** A ledger with weeks of days of two clients, a hundred rows each, but for yesterday of the second. */
async function ledgerWith(t: Parameters<typeof ledgerOf>[0], yesterday: number) {
  const ledger = ledgerOf(t)
  for (const { id } of clients) {
    for (const day of daysOf({ from: dayAgo(40), to: YESTERDAY })) {
      const rows = day === YESTERDAY && id === 'b' ? yesterday : 100
      const times = { requests: 1, startedAt: readAt(day), finishedAt: readAt(day) }
      await publish(ledger, 'clicks', id, { from: day, to: day }, rows, times)
    }
  }
  return ledger
}

async function gauges(registry: Registry, name: string): Promise<Record<string, number>> {
  const metric = await registry.getSingleMetric(name)?.get()
  return Object.fromEntries((metric?.values ?? []).map(({ labels, value }) => [Object.values(labels).join(' '), value]))
}

t.test('a ledger in order gives no finding, and every monitor has run', async t => {
  const ledger = await ledgerWith(t, 100)
  const { findings, ran, standings } = await watch({ config: { pipelines, ledger }, clients, grantKey: undefined, now: agoMs(0) })
  t.strictSame(findings, [])
  t.strictSame([...ran, 'monitors'].sort(), Object.keys(MONITORS).sort())
  t.match(standings, [{ clients: [{ client: 'a', completeThrough: YESTERDAY, missing: [] }, { client: 'b' }], volumeRatio: 1 }])
})

t.test('what is wrong in the ledger is found, and the gauges show it', async t => {
  const ledger = await ledgerWith(t, 40)
  const now = agoMs(0)
  const seen = await watch({ config: { pipelines, ledger }, clients, grantKey: undefined, now })
  t.match(seen.findings, [{ monitor: 'volume', pipelines: ['clicks'], places: [{ client: 'b', day: YESTERDAY }] }])
  const registry = new Registry()
  const metrics = createMetrics(registry)
  metrics.budgetUsed.set({ pipeline: 'gone', period: 'day' }, 1)
  setGauges(metrics, seen, now)
  const findings = await gauges(registry, 'headrace_findings')
  t.equal(findings['volume ticket clicks'], 1)
  t.equal(findings['empty page clicks'], 0)
  t.equal((await gauges(registry, 'headrace_monitor_run_timestamp_seconds')).volume, now / 1_000)
  t.strictSame(await gauges(registry, 'headrace_clients'), { 'clicks fresh': 2, 'clicks stale': 0 })
  t.strictSame(await gauges(registry, 'headrace_freshness_slo_seconds'), { clicks: 21_600 })
  t.strictSame(await gauges(registry, 'headrace_volume_ratio_to_baseline'), { clicks: 0.7 })
  t.strictSame(await gauges(registry, 'headrace_budget_used_ratio'), { 'clicks day': 0, 'clicks month': 0 })
  t.strictSame(await gauges(registry, 'headrace_complete_through_timestamp_seconds'), {
    clicks: Date.parse('2026-03-06T00:00:00Z') / 1_000,
  })
})

t.test('a pipeline whose ledger cannot be read is a finding, and the others are watched all the same', async t => {
  const ledger = await ledgerWith(t, 0)
  const broken = { ...pipelineOf(), name: 'broken' }
  const recent: typeof ledger.recent = (pipeline, since, now) => {
    if (pipeline === 'broken') throw new TransientError('LEDGER_FAILED', { message: 'the disk is gone' })
    return ledger.recent(pipeline, since, now)
  }
  const config = { pipelines: [broken, ...pipelines], ledger: { ...ledger, recent } }
  const { findings, ran } = await watch({ config, clients, grantKey: undefined, now: agoMs(0) })
  t.match(
    findings.map(({ monitor, pipelines, what }) => [monitor, pipelines, what]),
    [
      ['empty', ['clicks'], /client b without a row/],
      ['monitors', ['broken'], 'no monitor could be run: the disk is gone'],
    ],
  )
  t.strictSame(ran, ['credentials'])
})
