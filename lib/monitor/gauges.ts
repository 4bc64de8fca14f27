import type { Metrics } from '../metrics.ts'
import { endOfDay } from './deadline.ts'
import { type Level, MONITORS } from './finding.ts'
import type { Standing, Watch } from './watch.ts'

/** The label of what is about no pipeline in particular: to Prometheus it is as if it had none. */
const NO_PIPELINE = ''

/** Sets the gauges to what monitors said at an instant (epoch milliseconds). Whatever is not known any more is absent. */
export function setGauges(metrics: Metrics, { findings, ran, standings }: Watch, now: number): void {
  metrics.findings.reset()
  const names = standings.map(({ pipeline }) => pipeline.name)
  for (const [monitor, { levels }] of Object.entries(MONITORS)) {
    for (const level of levels satisfies readonly Level[]) {
      for (const pipeline of monitor === 'credentials' ? [NO_PIPELINE] : names)
        metrics.findings.set({ monitor, level, pipeline }, 0)
    }
  }
  for (const { monitor, level, pipelines } of findings) {
    for (const pipeline of pipelines.length > 0 ? pipelines : [NO_PIPELINE]) metrics.findings.inc({ monitor, level, pipeline })
  }
  for (const monitor of [...ran, 'monitors']) metrics.monitorRun.set({ monitor }, now / 1_000)
  const { completeThrough, freshnessSlo, volumeRatio, clients, budgetUsed, quotaLeft } = metrics
  for (const gauge of [completeThrough, freshnessSlo, volumeRatio, clients, budgetUsed, quotaLeft]) gauge.reset()
  for (const standing of standings) setStanding(metrics, standing)
  setQuotas(metrics, standings)
}

/** Pipelines that read one API have its quotas in common. */
function setQuotas({ quotaLeft }: Metrics, standings: readonly Standing[]): void {
  const all = standings.flatMap(({ pipeline, quotas }) =>
    [...quotas].map(([quota, left]) => ({ api: pipeline.source.name, quota, left })),
  )
  // The least is set last.
  for (const { api, quota, left } of all.sort((a, b) => b.left - a.left)) quotaLeft.set({ api, quota }, left)
}

function setStanding(metrics: Metrics, { pipeline, clients, volumeRatio, bytesBilled }: Standing): void {
  const labels = { pipeline: pipeline.name }
  if (volumeRatio !== undefined) metrics.volumeRatio.set(labels, volumeRatio)
  const { bytesPerDay, bytesPerMonth } = pipeline.budget
  if (bytesPerDay !== undefined) metrics.budgetUsed.set({ ...labels, period: 'day' }, bytesBilled.day / bytesPerDay)
  if (bytesPerMonth !== undefined) metrics.budgetUsed.set({ ...labels, period: 'month' }, bytesBilled.month / bytesPerMonth)
  if (pipeline.freshness === null) return
  metrics.freshnessSlo.set(labels, pipeline.freshness.hours * 3_600)
  const stale = clients.filter(({ missing }) => missing.length > 0).length
  metrics.clients.set({ ...labels, state: 'fresh' }, clients.length - stale)
  metrics.clients.set({ ...labels, state: 'stale' }, stale)
  const ends = clients.flatMap(({ completeThrough, timeZone }) =>
    completeThrough === null ? [] : [endOfDay(completeThrough, timeZone)],
  )
  if (ends.length > 0 && ends.length === clients.length) metrics.completeThrough.set(labels, Math.min(...ends) / 1_000)
}
