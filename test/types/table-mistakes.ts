import { bool, date, defineTable, float64, int64, json, nullable, numeric, string, timestamp } from '../../lib/table.ts'

/** Mistakes in tables that must not compile. Nothing here runs: `tsc` fails when one of them compiles after all. */

const columns = { client_id: string(), date: date(), name: string(), clicks: int64(), ended_on: nullable(date()) }

// Partitioned by text.
// @ts-expect-error
defineTable('ads.wrong', columns, { partitionBy: 'name' })

// Partitioned by a number.
// @ts-expect-error
defineTable('ads.wrong', columns, { partitionBy: 'clicks' })

// Partitioned by a day that may be null.
// @ts-expect-error
defineTable('ads.wrong', columns, { partitionBy: 'ended_on' })

// Partitioned by a column there is not; the compiler asks "did you mean date?".
// @ts-expect-error
defineTable('ads.wrong', columns, { partitionBy: 'dat' })

// Not partitioned at all.
// @ts-expect-error
defineTable('ads.wrong', columns, {})

// A key column there is not.
// @ts-expect-error
defineTable('ads.wrong', columns, { partitionBy: 'date', key: ['client_id', 'date', 'names'] })

// Clustered by a column there is not.
// @ts-expect-error
defineTable('ads.wrong', columns, { partitionBy: 'date', clusterBy: ['client'] })

// An option there is not.
// @ts-expect-error
defineTable('ads.wrong', columns, { partitionBy: 'date', partitionExpirationDays: 30 })

// No client_id.
// @ts-expect-error
defineTable('ads.wrong', { date: date(), name: string() }, { partitionBy: 'date' })

// A client_id that is no text.
// @ts-expect-error
defineTable('ads.wrong', { client_id: int64(), date: date() }, { partitionBy: 'date' })

// A client_id that may be null.
// @ts-expect-error
defineTable('ads.wrong', { client_id: nullable(string()), date: date() }, { partitionBy: 'date' })

// The length of a number.
// @ts-expect-error
int64({ maxLength: 3 })

// The pattern of a number.
// @ts-expect-error
int64({ pattern: '^1' })

// Numbers allowed where there is text.
// @ts-expect-error
string({ enum: [1, 2] })

// Texts allowed where there are numbers.
// @ts-expect-error
int64({ enum: ['1'] })

// The smallest text.
// @ts-expect-error
string({ minimum: 1 })

// The values of a decimal, which no number can name exactly.
// @ts-expect-error
numeric({ enum: [0.1] })

// A bound as text for a double.
// @ts-expect-error
float64({ minimum: '0' })

// The largest day.
// @ts-expect-error
date({ maximum: '2026-01-01' })

// The smallest instant.
// @ts-expect-error
timestamp({ minimum: 0 })

// The values of a boolean.
// @ts-expect-error
bool({ enum: [true] })

// The length of JSON.
// @ts-expect-error
json({ maxLength: 3 })

// A name where a column belongs.
// @ts-expect-error
defineTable('ads.wrong', { client_id: string(), date: date(), name: 'STRING' }, { partitionBy: 'date' })
