import type { Metrics } from '../metrics.ts'
import { endOfDay } from './deadline.ts'
import { type Level, MONITORS } from './finding.ts'
import type { Standing, Watch } from './watch.ts'

/** Sets the gauges to what monitors said at an instant (epoch milliseconds). Whatever is not known any more is absent. */
export function setGauges(metrics: Metrics, { findings, ran, standings }: Watch, now: number): void {
  for (const [monitor, { levels }] of Object.entries(MONITORS)) {
    for (const level of levels satisfies readonly Level[]) {
      metrics.findings.set({ monitor, level }, findings.filter(one => one.monitor === monitor && one.level === level).length)
    }
  }
  for (const monitor of [...ran, 'monitors']) metrics.monitorRun.set({ monitor }, now / 1_000)
  for (const gauge of [metrics.completeThrough, metrics.freshnessSlo, metrics.volumeRatio, metrics.clients]) gauge.reset()
  for (const standing of standings) setStanding(metrics, standing)
}

function setStanding(metrics: Metrics, { pipeline, clients, volumeRatio }: Standing): void {
  const labels = { pipeline: pipeline.name }
  if (volumeRatio !== undefined) metrics.volumeRatio.set(labels, volumeRatio)
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
