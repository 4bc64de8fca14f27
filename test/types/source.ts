import { type Connector, defineConnector } from '../../lib/connector.ts'
import { bool, date, defineTable, float64, int64, json, nullable, numeric, string, timestamp } from '../../lib/table.ts'

/** What the API of these files promises: nested objects, parents that may be missing, arrays, and a field nobody knows. */
export interface KeywordRecord {
  readonly campaign: { readonly id: number; readonly name: string | null }
  readonly segments: { readonly date: string; readonly hour?: number }
  readonly metrics: {
    readonly clicks: string
    readonly costMicros: number
    readonly rate: number
    readonly paused: boolean
  }
  readonly ad?: { readonly text?: { readonly headline: string } | null }
  readonly labels: readonly { readonly id: string; readonly owner: { readonly mail: string } | null }[]
  readonly tags: readonly string[]
  readonly changedAt: string
  readonly raw: unknown
}

/** Gives no pages: nothing of it is ever run. */
export const keywords: Connector<KeywordRecord> = defineConnector<KeywordRecord>({
  name: 'keywords',
  async *pages() {
    yield []
  },
})

/** What the API states that its records add up to. */
export interface KeywordTotals {
  readonly total: { readonly clicks: string; readonly costMicros: number; readonly names: readonly string[] }
}

/** The same, of an API that states totals. */
export const totalled: Connector<KeywordRecord, KeywordTotals> = defineConnector<KeywordRecord, KeywordTotals>({
  ...keywords,
  async *pages({ totals }) {
    totals({ total: { clicks: '0', costMicros: 0, names: [] } })
    yield []
  },
})

/** A table with a column of every type. */
export const keywordTable = defineTable(
  'ads.keywords',
  {
    client_id: string(),
    date: date(),
    campaign_id: string(),
    headline: nullable(string({ maxLength: 90 })),
    clicks: int64({ minimum: 0 }),
    views: nullable(int64()),
    cost: numeric({ minimum: 0 }),
    rate: float64(),
    paused: bool(),
    changed_at: timestamp(),
    ended_on: nullable(date()),
    extra: nullable(json()),
  },
  { partitionBy: 'date', key: ['client_id', 'date', 'campaign_id'] },
)
