import { pageToken, rest } from '../connectors/index.ts'
import { definePipeline, type Pipeline } from '../lib/index.ts'
import { client, day, decimal, float, integer, micros, text } from '../lib/mapping.ts'
import { date, defineTable, float64, int64, numeric, string } from '../lib/table.ts'
import { DEVICES, MATCH_TYPES, type NarrowRecord, type WideRecord } from './pages.ts'

export { benchDay } from './pages.ts'

/** One kind of record, and what the contenders need to load it. */
export interface Shape<R> {
  readonly pipeline: (base: string) => Pipeline
  readonly ddl: string
  readonly columns: string
  /** What is selected from the CSV; decimals are cast here, where DuckDB does it fast. */
  readonly select: string
  /** One line of CSV, written by hand for this one table. */
  readonly line: (record: R) => string
}

const wideTable = defineTable(
  'bench.wide',
  {
    client_id: string(),
    date: date(),
    currency: string({ pattern: '^[A-Z]{3}$' }),
    time_zone: string(),
    campaign_id: string({ pattern: '^[0-9]+$' }),
    campaign_name: string({ maxLength: 255 }),
    campaign_status: string({ enum: ['ENABLED', 'PAUSED', 'REMOVED'] }),
    channel: string(),
    ad_group_id: string({ pattern: '^[0-9]+$' }),
    ad_group_name: string({ maxLength: 255 }),
    ad_group_status: string({ enum: ['ENABLED', 'PAUSED', 'REMOVED'] }),
    criterion_id: string({ pattern: '^[0-9]+$' }),
    keyword: string({ maxLength: 200 }),
    match_type: string({ enum: MATCH_TYPES }),
    device: string({ enum: DEVICES }),
    network: string(),
    clicks: int64({ minimum: 0 }),
    impressions: int64({ minimum: 0 }),
    cost: numeric({ minimum: 0, maximum: 1_000_000 }),
    conversions: numeric({ minimum: 0 }),
    average_position: float64({ minimum: 0 }),
  },
  { partitionBy: 'date', key: ['client_id', 'date', 'criterion_id'] },
)

/** Keyword performance as ad APIs give it. */
export const WIDE: Shape<WideRecord> = {
  pipeline: base =>
    definePipeline({
      name: 'wide',
      source: rest<WideRecord>({
        name: 'bench',
        url: `${base}/{client}/{from}`,
        records: 'results',
        pages: pageToken({ param: 'pageToken', next: 'nextPageToken' }),
      }),
      table: wideTable,
      map: {
        client_id: client('customer.id'),
        date: day('segments.date'),
        currency: text('customer.currencyCode'),
        time_zone: text('customer.timeZone'),
        campaign_id: text('campaign.id'),
        campaign_name: text('campaign.name'),
        campaign_status: text('campaign.status'),
        channel: text('campaign.advertisingChannelType'),
        ad_group_id: text('adGroup.id'),
        ad_group_name: text('adGroup.name'),
        ad_group_status: text('adGroup.status'),
        criterion_id: text('adGroupCriterion.criterionId'),
        keyword: text('adGroupCriterion.keyword.text'),
        match_type: text('adGroupCriterion.keyword.matchType'),
        device: text('segments.device'),
        network: text('segments.adNetworkType'),
        clicks: integer('metrics.clicks'),
        impressions: integer('metrics.impressions'),
        cost: micros('metrics.costMicros'),
        conversions: decimal('metrics.conversions'),
        average_position: float('metrics.averagePosition'),
      },
      totals: ['clicks', 'cost'],
    }),
  ddl:
    'client_id VARCHAR, date DATE, currency VARCHAR, time_zone VARCHAR, campaign_id VARCHAR, campaign_name VARCHAR, campaign_status VARCHAR, ' +
    'channel VARCHAR, ad_group_id VARCHAR, ad_group_name VARCHAR, ad_group_status VARCHAR, criterion_id VARCHAR, keyword VARCHAR, ' +
    'match_type VARCHAR, device VARCHAR, network VARCHAR, clicks BIGINT, impressions BIGINT, cost DECIMAL(38,9), conversions DECIMAL(38,9), average_position DOUBLE',
  columns:
    "{client_id: 'VARCHAR', date: 'DATE', currency: 'VARCHAR', time_zone: 'VARCHAR', campaign_id: 'VARCHAR', campaign_name: 'VARCHAR', " +
    "campaign_status: 'VARCHAR', channel: 'VARCHAR', ad_group_id: 'VARCHAR', ad_group_name: 'VARCHAR', ad_group_status: 'VARCHAR', " +
    "criterion_id: 'VARCHAR', keyword: 'VARCHAR', match_type: 'VARCHAR', device: 'VARCHAR', network: 'VARCHAR', clicks: 'BIGINT', " +
    "impressions: 'BIGINT', cost: 'DECIMAL(18,9)', conversions: 'DECIMAL(18,9)', average_position: 'DOUBLE'}",
  select: '* REPLACE (cost::DECIMAL(38,9) AS cost, conversions::DECIMAL(38,9) AS conversions)',
  line: ({ customer, campaign, adGroup, adGroupCriterion, segments, metrics }) =>
    `"${customer.id}",${segments.date},"${customer.currencyCode}","${customer.timeZone}","${campaign.id}","${campaign.name}","${campaign.status}",` +
    `"${campaign.advertisingChannelType}","${adGroup.id}","${adGroup.name}","${adGroup.status}","${adGroupCriterion.criterionId}",` +
    `"${adGroupCriterion.keyword.text}","${adGroupCriterion.keyword.matchType}","${segments.device}","${segments.adNetworkType}",` +
    `${metrics.clicks},${metrics.impressions},${Number(metrics.costMicros) / 1e6},${metrics.conversions},${metrics.averagePosition}\n`,
}

const narrowTable = defineTable(
  'bench.narrow',
  { client_id: string(), date: date(), id: string(), clicks: int64({ minimum: 0 }), cost: numeric({ minimum: 0 }) },
  { partitionBy: 'date', key: ['client_id', 'date', 'id'] },
)

/** Five fields. */
export const NARROW: Shape<NarrowRecord> = {
  pipeline: base =>
    definePipeline({
      name: 'narrow',
      source: rest<NarrowRecord>({
        name: 'bench',
        url: `${base}/{client}/{from}`,
        records: 'results',
        pages: pageToken({ param: 'pageToken', next: 'nextPageToken' }),
      }),
      table: narrowTable,
      map: {
        client_id: client('account'),
        date: day('day'),
        id: text('id'),
        clicks: integer('clicks'),
        cost: micros('cost_micros'),
      },
      totals: ['clicks', 'cost'],
    }),
  ddl: 'client_id VARCHAR, date DATE, id VARCHAR, clicks BIGINT, cost DECIMAL(38,9)',
  columns: "{client_id: 'VARCHAR', date: 'DATE', id: 'VARCHAR', clicks: 'BIGINT', cost: 'DECIMAL(18,9)'}",
  select: '* REPLACE (cost::DECIMAL(38,9) AS cost)',
  line: ({ account, day, id, clicks, cost_micros }) => `"${account}",${day},"${id}",${clicks},${Number(cost_micros) / 1e6}\n`,
}
