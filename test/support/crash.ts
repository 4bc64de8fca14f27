import { daysOf } from '../../lib/chunk.ts'
import type { Pipeline } from '../../lib/index.ts'
import { AdsApi, ad, adsPipeline } from './ads.ts'

/** What the processes of the crash tests backfill. */
export const crashWindow = { from: '2026-03-01', to: '2026-03-04', clients: ['a', 'b', 'c'] } as const

const api = new AdsApi()
for (const client of crashWindow.clients) {
  for (const [index, day] of daysOf(crashWindow).entries()) {
    const records = Array.from({ length: 20 + index }, (_, n) =>
      ad(client, day, `k${n}`, n, n % 10 === 9 ? '-1' : String(n * 1_000_001)),
    )
    api.set(client, day, records)
  }
}

/** A pipeline over an API that always says the same. */
export function crashPipeline(): Pipeline {
  return adsPipeline(api.connector(7), { days: 1, checks: { rejects: { atMost: 1 } } })
}

/** Rows and rejects that a finished backfill must have published, per client and day. */
export function crashExpected(): { rows: number; rejects: number; clicks: number; cost: string } {
  const records = crashWindow.clients.flatMap(client => daysOf(crashWindow).flatMap(day => api.get(client, day)))
  const good = records.filter(({ metrics }) => metrics.costMicros !== '-1')
  const micros = good.reduce((sum, { metrics }) => sum + BigInt(metrics.costMicros), 0n)
  return {
    rows: good.length,
    rejects: records.length - good.length,
    clicks: good.reduce((sum, { metrics }) => sum + metrics.clicks, 0),
    cost: `${micros / 1_000_000n}.${String(micros % 1_000_000n).padStart(6, '0')}000`,
  }
}
