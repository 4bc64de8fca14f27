import { type Expr, optional, type Path, text } from '../../lib/mapping.ts'
import type { Column, ColumnsOf, Row } from '../../lib/table.ts'
import type { KeywordRecord, keywordTable } from './source.ts'

/** Types that must come out exactly so; one that does not is an error of `tsc`. Nothing here runs. */

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
type Flat<T> = { [K in keyof T]: T[K] }

function exactly<_T extends true>(): void {}

type Columns = (typeof keywordTable)['columns']

// A nullable column is `| null` and never optional: a row has every column.
exactly<
  Equal<
    Flat<Row<Columns>>,
    {
      client_id: string
      date: string
      campaign_id: string
      headline: string | null
      clicks: number | string
      views: number | string | null
      cost: string
      rate: number
      paused: boolean
      changed_at: string
      ended_on: string | null
      extra: string | null
    }
  >
>()

// A column keeps its type and whether it may be null.
exactly<Equal<Columns['cost'], Column<'NUMERIC', false>>>()
exactly<Equal<Columns['headline'], Column<'STRING', true>>>()

// Only required columns of a type are offered for partitioning and totals.
exactly<Equal<ColumnsOf<Columns, 'DATE'>, 'date'>>()
exactly<Equal<ColumnsOf<Columns, 'INT64' | 'NUMERIC'>, 'clicks' | 'cost'>>()

// An expression carries its path, its type, and whether it may be null.
const plain = text('campaign.id')
exactly<Equal<typeof plain, Expr<'campaign.id', 'STRING', false>>>()
const maybe = optional(plain)
exactly<Equal<typeof maybe, Expr<'campaign.id', 'STRING', true>>>()

// Paths to scalars, and to anything.
type Scalars = Path<KeywordRecord, string | number | boolean | bigint>
exactly<
  Equal<
    Scalars,
    | 'campaign.id'
    | 'campaign.name'
    | 'segments.date'
    | 'segments.hour'
    | 'metrics.clicks'
    | 'metrics.costMicros'
    | 'metrics.rate'
    | 'metrics.paused'
    | 'ad.text.headline'
    | `labels.${number}.id`
    | `labels.${number}.owner.mail`
    | `tags.${number}`
    | 'changedAt'
    | 'raw'
  >
>()
exactly<
  Equal<
    Exclude<Path<KeywordRecord>, Scalars>,
    'campaign' | 'segments' | 'metrics' | 'ad' | 'ad.text' | 'labels' | `labels.${number}` | `labels.${number}.owner` | 'tags'
  >
>()
exactly<Equal<Path<Record<string, unknown>>, string>>()

// A record that refers to itself has paths down to the sixth level, and no further.
type Node = { readonly id: string; readonly next: Node }
exactly<
  Equal<
    Extract<Path<Node, string>, `${string}next.id`>,
    `${'next.' | 'next.next.' | 'next.next.next.' | 'next.next.next.next.' | 'next.next.next.next.next.'}id`
  >
>()
