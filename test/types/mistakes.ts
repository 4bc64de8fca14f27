import {
  boolean,
  client,
  constant,
  custom,
  day,
  decimal,
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
import type { KeywordRecord } from './source.ts'
import { keywords, keywordTable, totalled } from './source.ts'

/** Mistakes in mappings and pipelines that must not compile. Nothing here runs: `tsc` fails when one of them compiles after all. */

const right = {
  client_id: client(),
  date: day('segments.date'),
  campaign_id: text('campaign.id'),
  headline: optional(text('ad.text.headline')),
  clicks: integer('metrics.clicks'),
  views: optional(integer('metrics.clicks')),
  cost: micros('metrics.costMicros'),
  rate: float('metrics.rate'),
  paused: boolean('metrics.paused'),
  changed_at: timestamp('changedAt'),
  ended_on: optional(day('segments.date')),
  extra: optional(json('raw')),
} satisfies Mapping<KeywordRecord, typeof keywordTable.columns>

const base = { name: 'keywords', source: keywords, table: keywordTable } as const

// A column is misnamed, so that one is missing and one too many.
// @ts-expect-error
definePipeline({ ...base, map: (({ clicks, ...rest }) => ({ ...rest, click: clicks }))(right) })

definePipeline({
  ...base,
  map: {
    ...right,
    // A column is misnamed in place; the compiler asks "did you mean clicks?".
    // @ts-expect-error
    click: integer('metrics.clicks'),
  },
})

// A column is missing.
// @ts-expect-error
definePipeline({ ...base, map: (({ cost: _, ...rest }) => rest)(right) })

definePipeline({
  ...base,
  map: {
    ...right,
    // A column too many.
    // @ts-expect-error
    conversions: integer('metrics.clicks'),
  },
})

definePipeline({
  ...base,
  map: {
    ...right,
    // Text into INT64.
    // @ts-expect-error
    clicks: text('metrics.clicks'),
  },
})

definePipeline({
  ...base,
  map: {
    ...right,
    // Micros, an exact decimal, into INT64.
    // @ts-expect-error
    clicks: micros('metrics.costMicros'),
  },
})

definePipeline({
  ...base,
  map: {
    ...right,
    // A double into NUMERIC: money would lose its cents.
    // @ts-expect-error
    cost: float('metrics.rate'),
  },
})

definePipeline({
  ...base,
  map: {
    ...right,
    // A decimal into FLOAT64.
    // @ts-expect-error
    rate: decimal('metrics.rate'),
  },
})

definePipeline({
  ...base,
  map: {
    ...right,
    // An instant into DATE: it has no day until somebody names a time zone.
    // @ts-expect-error
    date: timestamp('segments.date'),
  },
})

definePipeline({
  ...base,
  map: {
    ...right,
    // Null into a required column.
    // @ts-expect-error
    clicks: optional(integer('metrics.clicks')),
  },
})

definePipeline({
  ...base,
  map: {
    ...right,
    // A client that may be null.
    // @ts-expect-error
    client_id: optional(client('campaign.id')),
  },
})

definePipeline({
  ...base,
  map: {
    ...right,
    // A misspelt path; the compiler asks "did you mean metrics.clicks?".
    // @ts-expect-error
    clicks: integer('metrics.click'),
  },
})

definePipeline({
  ...base,
  map: {
    ...right,
    // A misspelt first step of a path.
    // @ts-expect-error
    campaign_id: text('campaing.id'),
  },
})

definePipeline({
  ...base,
  map: {
    ...right,
    // A path to an object where a scalar is needed.
    // @ts-expect-error
    campaign_id: text('campaign'),
  },
})

definePipeline({
  ...base,
  map: {
    ...right,
    // A path to an array where a scalar is needed.
    // @ts-expect-error
    campaign_id: text('tags'),
  },
})

definePipeline({
  ...base,
  map: {
    ...right,
    // A misspelt path within an element of an array.
    // @ts-expect-error
    campaign_id: text('labels.0.identity'),
  },
})

definePipeline({
  ...base,
  map: {
    ...right,
    // A name where an array has indexes.
    // @ts-expect-error
    campaign_id: text('labels.first.id'),
  },
})

definePipeline({
  ...base,
  map: {
    ...right,
    // A path that goes on after a scalar.
    // @ts-expect-error
    campaign_id: text('campaign.id.value'),
  },
})

definePipeline({
  ...base,
  map: {
    ...right,
    // A misspelt path of JSON, which may otherwise be anything.
    // @ts-expect-error
    extra: json('rwa'),
  },
})

definePipeline({
  ...base,
  map: {
    ...right,
    // A misspelt path of the record's own client.
    // @ts-expect-error
    client_id: client('campaign.account'),
  },
})

definePipeline({
  ...base,
  map: {
    ...right,
    // A number constant for a text column.
    // @ts-expect-error
    campaign_id: constant(7),
  },
})

definePipeline({
  ...base,
  map: {
    ...right,
    // A text constant for a number column.
    // @ts-expect-error
    clicks: constant('7'),
  },
})

definePipeline({
  ...base,
  map: {
    ...right,
    // A constant of an object.
    // @ts-expect-error
    extra: constant({ a: 1 }),
  },
})

definePipeline({
  ...base,
  map: {
    ...right,
    // A custom expression of another type than its column.
    // @ts-expect-error
    clicks: custom('STRING', (record: KeywordRecord) => record.metrics.clicks, 'shows a mistake'),
  },
})

definePipeline({
  ...base,
  map: {
    ...right,
    // A custom expression that reads a field the record does not have.
    // @ts-expect-error
    clicks: custom('INT64', (record: KeywordRecord) => record.metrics.click, 'shows a mistake'),
  },
})

definePipeline({
  ...base,
  map: {
    ...right,
    // A custom expression that calls a number as if it were text.
    // @ts-expect-error
    campaign_id: custom('STRING', (record: KeywordRecord) => record.campaign.id.trim(), 'shows a mistake'),
  },
})

definePipeline({
  ...base,
  map: {
    ...right,
    // A custom expression written for records of another API.
    // @ts-expect-error
    clicks: custom('INT64', (record: { readonly visits: number }) => record.visits, 'shows a mistake'),
  },
})

definePipeline({
  ...base,
  map: {
    ...right,
    // A custom expression that does not name the type of its record: the compiler does not know it at this place.
    // @ts-expect-error
    clicks: custom('INT64', record => record.metrics.clicks, 'shows a mistake'),
  },
})

// A custom expression without a reason.
// @ts-expect-error
custom('INT64', (record: KeywordRecord) => record.metrics.clicks)

// A custom expression of a type there is not.
// @ts-expect-error
custom('INTEGER', (record: KeywordRecord) => record.metrics.clicks, 'shows a mistake')

// A unit of time there is not.
// @ts-expect-error
timestamp('changedAt', 'minutes')

// A control total on text.
// @ts-expect-error
definePipeline({ ...base, map: right, totals: ['campaign_id'] })

// A control total on a double: its sum depends on the order.
// @ts-expect-error
definePipeline({ ...base, map: right, totals: ['rate'] })

// A control total on a nullable column.
// @ts-expect-error
definePipeline({ ...base, map: right, totals: ['views'] })

// A control total on a column there is not.
// @ts-expect-error
definePipeline({ ...base, map: right, totals: ['costs'] })

const stated = { ...base, source: totalled, map: right, totals: ['clicks', 'cost'] } as const

// A path that the source does not state.
// @ts-expect-error
definePipeline({ ...stated, sourceTotals: { clicks: integer('total.click') } })

// A record has it, what the source states has not.
// @ts-expect-error
definePipeline({ ...stated, sourceTotals: { clicks: integer('metrics.clicks') } })

// A stated total of another type than its column.
// @ts-expect-error
definePipeline({ ...stated, sourceTotals: { clicks: micros('total.costMicros') } })

// A stated total that may be null.
// @ts-expect-error
definePipeline({ ...stated, sourceTotals: { clicks: optional(integer('total.clicks')) } })

// A stated total of a column that has no sum.
// @ts-expect-error
definePipeline({ ...stated, sourceTotals: { campaign_id: text('total.clicks') } })

// A stated total of a source that states nothing.
// @ts-expect-error
definePipeline({ ...stated, source: keywords, sourceTotals: { clicks: integer('total.clicks') } })

// A check there is not.
// @ts-expect-error
definePipeline({ ...base, map: right, checks: { reject: { atMost: 0.1 } } })

// An option of a check there is not.
// @ts-expect-error
definePipeline({ ...base, map: right, checks: { rejects: { atMost: 0.1, atLeast: 0 } } })

// An empty policy there is not.
// @ts-expect-error
definePipeline({ ...base, map: right, checks: { empty: 'ignore' } })

// A schedule without a lookback.
// @ts-expect-error
definePipeline({ ...base, map: right, schedule: [{ name: 'daily', cron: '0 6 * * *' }] })

// A policy of a dependency there is not.
// @ts-expect-error
definePipeline({ ...base, map: right, after: [{ pipeline: 'accounts', policy: 'ignore' }] })

// An option of a pipeline there is not.
// @ts-expect-error
definePipeline({ ...base, map: right, total: ['cost'] })

// No connector.
// @ts-expect-error
definePipeline({ name: 'keywords', table: keywordTable, map: right })
