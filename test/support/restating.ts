import { daysOf } from '../../lib/chunk.ts'
import type { Pipeline } from '../../lib/index.ts'
import { AdsApi, ad, adsPipeline } from './ads.ts'

/** Whose days the readiness test reads. */
export const RESTATING = { clients: ['a', 'b'], from: '2026-03-01', to: '2026-03-06' } as const

/** Rows of every day, unless the API loses most of them. */
export const ROWS = 12

/** The pipeline over an API that says other numbers in each version; in version `lost` it has lost most of the rows of one client. */
export function restatingPipeline(version: string): Pipeline {
  const api = new AdsApi()
  for (const client of RESTATING.clients) {
    const rows = version === 'lost' && client === 'b' ? 2 : ROWS
    for (const day of daysOf(RESTATING)) {
      api.set(
        client,
        day,
        Array.from({ length: rows }, (_, n) => ad(client, day, `k${n}`, clicksOf(version))),
      )
    }
  }
  return adsPipeline(api.connector(5), { days: 1 })
}

/** The clicks of each row in a version. */
export function clicksOf(version: string): number {
  return version.length
}
