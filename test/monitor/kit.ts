import { addDays, type Day, fromEpochDay, toEpochDay } from '../../lib/chunk.ts'
import { defineConnector } from '../../lib/connector.ts'
import type { PublishedDay } from '../../lib/ledger/ledger.ts'
import type { PublishedChunk } from '../../lib/ledger/reader.ts'
import { client, day, integer, optional, text } from '../../lib/mapping.ts'
import { daysByClient, HISTORY_DAYS, type Watched } from '../../lib/monitor/watched.ts'
import { type Budget, definePipeline, type Pipeline } from '../../lib/pipeline.ts'
import { date, defineTable, int64, nullable, string } from '../../lib/table.ts'
import { publishedDay } from '../published.ts'

/** A record of the pipeline that is watched. */
interface Click {
  account: string
  date: string
  device: string
  keyword: string | null
  clicks: number
  cost: number
}

/** What a test says otherwise of the pipeline. */
type More = Partial<Pick<Pipeline, 'schedule' | 'holidays'>> & {
  readonly freshness?: { readonly hours: number }
  readonly budget?: Budget
  readonly thresholds?: Partial<Pipeline['thresholds']>
}

/** The pipeline that is watched. */
export function pipelineOf(more: More = {}): Pipeline {
  return definePipeline({
    name: 'clicks',
    source: defineConnector<Click>({ name: 'ads', async *pages() {} }),
    table: defineTable(
      'ads.clicks',
      {
        client_id: string(),
        date: date(),
        device: string({ enum: ['phone', 'tablet', 'desk'] }),
        keyword: nullable(string()),
        clicks: int64(),
        cost: int64(),
      },
      { partitionBy: 'date' },
    ),
    map: {
      client_id: client('account'),
      date: day('date'),
      device: text('device'),
      keyword: optional(text('keyword')),
      clicks: integer('clicks'),
      cost: integer('cost'),
    },
    totals: ['clicks', 'cost'],
    ...more,
  })
}

/** A Thursday; the monitors look at eight in the morning of the day after. */
export const YESTERDAY: Day = '2026-03-05'

const NOW = Date.parse('2026-03-06T08:00:00Z')

/** What monitors see, nothing in it unless a test says so. */
export function watchedOf({
  more,
  ...rest
}: Partial<Omit<Watched, 'days'>> & { readonly more?: More; readonly days?: readonly PublishedDay[] }): Watched {
  const { days = [] } = rest
  const ids = [...new Set(days.map(one => one.client))]
  return {
    now: NOW,
    pipeline: pipelineOf(more),
    clients: ids.map(id => ({ id, timeZone: 'UTC' })),
    chunks: [],
    restatements: [],
    drifts: [],
    problems: [],
    bytesBilled: { day: 0, month: 0 },
    quotas: new Map(),
    ...rest,
    days: daysByClient(days),
  }
}

/** Days up to yesterday, one after the other, so many that every weekday has its history; each read two hours after its end. */
export function daysOfClient(
  client: string,
  content: (ago: number, day: Day) => Partial<PublishedDay> | undefined,
  count = HISTORY_DAYS,
): PublishedDay[] {
  return Array.from({ length: count }, (_, index) => count - 1 - index).flatMap(ago => {
    const day = addDays(YESTERDAY, -ago)
    const some = content(ago, day)
    return some === undefined ? [] : [publishedDay(day, { client, publishedAt: readAt(day), ...some })]
  })
}

/** When a day is read: two hours after its end. */
export function readAt(day: Day): number {
  return Date.parse(`${addDays(day, 1)}T02:00:00Z`)
}

/** Rows as they come by weekday: fewer on a Saturday and a Sunday, and a little more or less each day. */
export function usualRows(day: Day): number {
  const epochDay = toEpochDay(day)
  const weekend = [2, 3].includes(epochDay % 7)
  return (weekend ? 400 : 1_000) + ((epochDay * 7) % 31)
}

/** A chunk of one day. */
export function chunkOf(client: string, ago: number, more: Partial<PublishedChunk> = {}): PublishedChunk {
  const day = addDays(YESTERDAY, -ago)
  return { client, from: day, to: day, rows: 1_000, finishedAt: readAt(day), columns: {}, sourceTotals: [], ...more }
}

/** Epoch milliseconds of an instant some days ago, at the same time of the day. */
export function agoMs(days: number): number {
  return NOW - days * 86_400_000
}

/** Weekday of yesterday, for tests that need to know. */
export function dayAgo(ago: number): Day {
  return fromEpochDay(toEpochDay(YESTERDAY) - ago)
}
