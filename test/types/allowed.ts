import { defineConnector } from '../../lib/connector.ts'
import {
  boolean,
  client,
  constant,
  custom,
  day,
  decimal,
  type Expr,
  float,
  integer,
  json,
  type Mapping,
  micros,
  optional,
  text,
  timestamp,
} from '../../lib/mapping.ts'
import { definePipeline } from '../../lib/pipeline.ts'
import { bool, date, defineTable, float64, int64, json as jsonColumn, nullable, numeric, string } from '../../lib/table.ts'
import { type KeywordRecord, keywords, keywordTable } from './source.ts'

/** What must compile: every word of the vocabulary where it belongs. Nothing here runs. */

const base = { name: 'keywords', source: keywords, table: keywordTable } as const

const map = {
  client_id: client(),
  date: day('segments.date'),
  campaign_id: text('campaign.id'),
  // Through parents that may be missing or null.
  headline: optional(text('ad.text.headline')),
  clicks: integer('metrics.clicks'),
  // A required expression may fill a nullable column.
  views: integer('metrics.clicks'),
  cost: micros('metrics.costMicros'),
  rate: float('metrics.rate'),
  paused: boolean('metrics.paused'),
  changed_at: timestamp('changedAt'),
  ended_on: optional(day('segments.date')),
  extra: optional(json('raw')),
} satisfies Mapping<KeywordRecord, typeof keywordTable.columns>

definePipeline({ ...base, map })

// Every option there is.
definePipeline({
  ...base,
  description: 'Keywords, by day.',
  map,
  chunk: { days: 3 },
  checks: { rejects: { atMost: 0 }, volume: { atLeast: 0 }, empty: 'hold' },
  totals: ['clicks', 'cost'],
  schedule: [{ name: 'daily', cron: '0 6 * * *', lookbackDays: 3 }],
  after: ['accounts', { pipeline: 'campaigns', gaps: 0.1, policy: 'skip' }],
})

// The rest of the vocabulary, and elements of arrays by index.
definePipeline({
  ...base,
  map: {
    ...map,
    client_id: client('campaign.id'),
    campaign_id: text('labels.0.id'),
    headline: optional(text('labels.12.owner.mail')),
    clicks: constant(7),
    views: optional(integer('segments.hour')),
    cost: decimal('metrics.rate'),
    paused: constant(true),
    changed_at: timestamp('metrics.costMicros', 'us'),
    extra: json('metrics'),
  },
})

// JSON takes objects, arrays, elements and scalars; a text column takes an element of an array of texts.
definePipeline({ ...base, map: { ...map, campaign_id: text('tags.3'), extra: json('labels') } })
definePipeline({ ...base, map: { ...map, campaign_id: constant('all'), extra: json('labels.0') } })
definePipeline({ ...base, map: { ...map, extra: json('campaign.name') } })

// A field of unknown type counts as anything.
definePipeline({
  ...base,
  map: { ...map, campaign_id: text('raw'), clicks: integer('raw'), date: day('raw'), rate: float('raw') },
})

// A custom expression that names the type of its record, or asks less of it than the connector promises.
definePipeline({
  ...base,
  map: {
    ...map,
    clicks: custom('INT64', (record: KeywordRecord) => record.tags.length, 'the API does not count them'),
    headline: optional(custom('STRING', (record: KeywordRecord) => record.ad?.text?.headline, 'shows a word')),
    campaign_id: custom('STRING', ({ campaign }: Pick<KeywordRecord, 'campaign'>) => campaign.name, 'shows a word'),
    cost: custom('NUMERIC', (_, { client: account }) => account.length, 'shows the chunk'),
  },
})

// Where the record type is already known, a custom expression infers it.
export const inferred = {
  ...map,
  clicks: custom('INT64', record => record.tags.length, 'the API does not count them'),
} satisfies Mapping<KeywordRecord, typeof keywordTable.columns>
export const alone: Expr<string, 'STRING', boolean, KeywordRecord> = custom('STRING', record => record.campaign.name, 'a word')

// Records of no particular type, as in JavaScript: any path may be there.
const loose = defineConnector<Record<string, unknown>>({
  name: 'loose',
  async *pages() {
    yield []
  },
})
definePipeline({
  name: 'loose',
  source: loose,
  table: keywordTable,
  map: {
    ...map,
    campaign_id: text('whatever'),
    clicks: integer('deep.down.the.record'),
    headline: custom('STRING', (record: Record<string, unknown>) => record.title, 'shows a word'),
  },
})

// Records that may be one of several, or that refer to themselves.
type Node = { readonly id: string; readonly at: string; readonly parent?: Node }
type Either = { readonly at: string; readonly a: { readonly x: number } | string } | { readonly at: string; readonly b: boolean }
const small = defineTable('ads.small', { client_id: string(), date: date(), x: nullable(string()) }, { partitionBy: 'date' })
definePipeline({
  name: 'nodes',
  source: defineConnector<Node>({ name: 'nodes', async *pages() {} }),
  table: small,
  map: { client_id: client(), date: day('at'), x: optional(text('parent.parent.parent.parent.parent.id')) },
})
definePipeline({
  name: 'either',
  source: defineConnector<Either>({ name: 'either', async *pages() {} }),
  table: small,
  map: { client_id: client(), date: day('at'), x: optional(text('a.x')) },
})

// Every kind of column and option.
defineTable(
  'ads.everything',
  {
    client_id: string({ pattern: '^[0-9]+$', description: 'The account.' }),
    date: date({ description: 'The day.' }),
    kind: nullable(string({ enum: ['a', 'b'], maxLength: 1 })),
    level: int64({ minimum: 0, maximum: '9007199254740993', enum: [1, 2] }),
    cost: nullable(numeric({ minimum: '-0.000000001', maximum: 1_000_000 })),
    rate: float64({ minimum: 0, maximum: 1 }),
    on: bool(),
    twice: nullable(nullable(jsonColumn())),
  },
  { partitionBy: 'date', clusterBy: ['client_id', 'kind'], key: ['client_id', 'date', 'level'], description: 'All of it.' },
)
