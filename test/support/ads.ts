import { dayCount } from '../../lib/chunk.ts'
import { type Connector, defineConnector, definePipeline, type Pipeline, TransientError } from '../../lib/index.ts'
import { client, day, integer, micros, optional, text } from '../../lib/mapping.ts'
import { date, defineTable, int64, nullable, numeric, string } from '../../lib/table.ts'

/** One record of the ads API that the tests of whole runs share. */
export interface AdRecord {
  account: string
  date: string
  campaign: { id: string; name?: string | null }
  metrics: { clicks: number; costMicros: string }
}

/** What the API says now: records by client and day. */
export class AdsApi {
  readonly #records = new Map<string, AdRecord[]>()
  /** Pages given out so far. */
  pages = 0
  /** Days it gives at once; a longer window breaks off after its first page. */
  mostDays = Number.POSITIVE_INFINITY

  set(client: string, date: string, records: readonly AdRecord[]): void {
    this.#records.set(`${client} ${date}`, [...records])
  }

  get(client: string, date: string): readonly AdRecord[] {
    return this.#records.get(`${client} ${date}`) ?? []
  }

  /** A connector that reads it page by page, `pageSize` records each. */
  connector(pageSize: number): Connector<AdRecord> {
    return defineConnector<AdRecord>({
      name: 'ads',
      pages: ({ client, window }) => this.#pages(client, window, pageSize),
    })
  }

  async *#pages(client: string, window: { from: string; to: string }, pageSize: number): AsyncGenerator<AdRecord[]> {
    const all = [...this.#records]
      .filter(([key]) => key.startsWith(`${client} `) && key.slice(-10) >= window.from && key.slice(-10) <= window.to)
      .flatMap(([, records]) => records)
    for (let at = 0; at < Math.max(1, all.length); at += pageSize) {
      this.pages++
      yield all.slice(at, at + pageSize)
      if (dayCount(window) > this.mostDays)
        throw new TransientError('WINDOW_TOO_LARGE', { message: `more than ${this.mostDays} days` })
    }
  }
}

/** A record with everything filled in. */
export function ad(account: string, date: string, id: string, clicks = 1, costMicros = '1500000'): AdRecord {
  return { account, date, campaign: { id, name: `campaign ${id}` }, metrics: { clicks, costMicros } }
}

const tableOf = (name: string) =>
  defineTable(
    `ads.${name}`,
    {
      client_id: string(),
      date: date(),
      campaign_id: string(),
      name: nullable(string()),
      clicks: int64({ minimum: 0 }),
      cost: numeric({ minimum: 0, maximum: 1_000_000 }),
    },
    { partitionBy: 'date', key: ['client_id', 'date', 'campaign_id'] },
  )

export const adsTable = tableOf('campaigns')

/** The pipeline from such a connector into `adsTable`, or of another name and into a table of that name. */
export function adsPipeline(
  source: Connector<AdRecord>,
  options: {
    readonly name?: string
    readonly days?: number
  } & Pick<Parameters<typeof definePipeline>[0], 'checks' | 'schedule' | 'after' | 'freshness'> = {},
): Pipeline {
  const { name = 'campaigns' } = options
  return definePipeline({
    name,
    source,
    table: name === 'campaigns' ? adsTable : tableOf(name),
    map: {
      client_id: client('account'),
      date: day('date'),
      campaign_id: text('campaign.id'),
      name: optional(text('campaign.name')),
      clicks: integer('metrics.clicks'),
      cost: micros('metrics.costMicros'),
    },
    chunk: { days: options.days ?? 1 },
    checks: options.checks ?? {},
    schedule: options.schedule ?? [],
    after: options.after ?? [],
    ...(options.freshness === undefined ? {} : { freshness: options.freshness }),
    totals: ['clicks', 'cost'],
  })
}
