import t from 'tap'
import { defineConnector } from '../lib/connector.ts'
import { describePipeline } from '../lib/describe.ts'
import { client, custom, day, integer, micros, optional, text } from '../lib/mapping.ts'
import { definePipeline } from '../lib/pipeline.ts'
import { date, defineTable, int64, nullable, numeric, string } from '../lib/table.ts'

interface Visit {
  readonly day: string
  readonly site: { readonly name: string }
  readonly n: string
  readonly cost: number
}

const source = defineConnector<Visit>({ name: 'visits-api', async *pages() {} })

t.test('a pipeline describes every column: its type, where it comes from, what it demands, what it means', async t => {
  const pipeline = definePipeline({
    name: 'visits',
    description: 'Visits by site and day.',
    source,
    table: defineTable(
      'web.visits',
      {
        client_id: string({ description: 'The account.' }),
        date: date(),
        site: string({ maxLength: 20, pattern: '^(a|b)' }),
        kind: nullable(string({ enum: ['x', 'y'] })),
        n: int64({ minimum: 0, maximum: 9 }),
        cost: numeric(),
      },
      { partitionBy: 'date', key: ['client_id', 'date', 'site'], clusterBy: ['site'], description: 'One row per site.' },
    ),
    map: {
      client_id: client(),
      date: day('day'),
      site: text('site.name'),
      kind: optional(custom('STRING', (visit: Visit) => visit.n, 'the kind is hidden in the number')),
      n: integer('n'),
      cost: micros('cost'),
    },
    chunk: { days: 3 },
    checks: { rejects: { atMost: 0.005 }, volume: { atLeast: 0.25 }, empty: 'hold', drift: 'hold' },
    totals: ['n', 'cost'],
    schedule: [
      { name: 'daily', cron: '0 6 * * *', lookbackDays: 1 },
      { name: 'weekly', cron: '0 3 * * SUN', lookbackDays: 30 },
    ],
    after: ['accounts', { pipeline: 'prices', gaps: 0.1, policy: 'skip' }],
  })
  t.equal(
    describePipeline(pipeline),
    `# visits

Visits by site and day.

Reads \`visits-api\`, up to 3 days at a time, and publishes into \`web.visits\` (One row per site.).

| column      | type             | comes from                               | when absent | must be                               | meaning      |
| ----------- | ---------------- | ---------------------------------------- | ----------- | ------------------------------------- | ------------ |
| \`client_id\` | STRING           | the client of the chunk                  |             |                                       | The account. |
| \`date\`      | DATE             | \`day\` as day                             | rejected    |                                       |              |
| \`site\`      | STRING           | \`site.name\` as text                      | rejected    | at most 20 characters; like \`^(a\\|b)\` |              |
| \`kind\`      | STRING, nullable | custom: the kind is hidden in the number | null        | one of \`x\`, \`y\`                       |              |
| \`n\`         | INT64            | \`n\` as integer                           | rejected    | at least 0; at most 9                 |              |
| \`cost\`      | NUMERIC          | \`cost\` / 1,000,000, exact                | rejected    |                                       |              |

- Replaced as a whole: the rows of one \`client_id\` for the days of \`date\` that were read.
- Key: \`client_id\`, \`date\`, \`site\`. The same row twice is kept once, another row with the same key is rejected.
- Clustered by: \`site\`.
- Control totals: \`n\`, \`cost\`; the sums read must be the sums in the table.
- Held for a person when more than 0.5 % of the records are rejected or fewer rows arrive than 25 % of the last time.
- A day that had rows and comes back empty: read again, then held for a person.
- Fields that are read and come differently than before: held for a person.
- Due on the clock of each client: \`daily\` at \`0 6 * * *\`, the day before; \`weekly\` at \`0 3 * * SUN\`, the 30 days before. With them, days that should be published and are not.
- Read once their days are published by: \`accounts\`; \`prices\`, all but 10 %, or failed when it did.
`,
  )
})

const small = defineTable('web.visits', { client_id: string(), date: date() }, { partitionBy: 'date' })
const map = { client_id: client(), date: day('day') }

t.test('a pipeline of defaults says what they are', async t => {
  const words = describePipeline(definePipeline({ name: 'visits', source, table: small, map }))
  t.match(words, 'Reads `visits-api`, one day at a time, and publishes into `web.visits`.\n')
  t.match(words, '- Key: none; equal rows are all kept.\n')
  t.match(words, '- Clustered by: `client_id`.\n')
  t.match(words, '- Control totals: none.\n')
  t.match(
    words,
    '- Held for a person when more than 1 % of the records are rejected or fewer rows arrive than 50 % of the last time.\n',
  )
  t.match(words, ': read again, and believed when it is empty twice.\n')
  t.match(words, ': published, with a warning.\n')
})

t.test('totals that the source states are described with what follows when they differ', async t => {
  const columns = { client_id: string(), date: date(), n: int64(), cost: numeric() }
  const base = {
    name: 'visits',
    source: defineConnector<Visit, { readonly n: number; readonly costMicros: number }>({
      name: 'visits-api',
      async *pages() {},
    }),
    table: defineTable('web.visits', columns, { partitionBy: 'date' }),
    map: { ...map, n: integer('n'), cost: micros('cost') },
    totals: ['n', 'cost'],
    sourceTotals: { n: integer('n'), cost: micros('costMicros') },
  } as const
  const stated =
    '- Totals that the source states: `n` from `n` as integer, `cost` from `costMicros` / 1,000,000, exact; what is read must add up to them'
  t.match(describePipeline(definePipeline(base)), `${stated}, or it is read again, then held for a person.\n`)
  const checks = { sourceTotals: { atMost: 0.005, policy: 'warn' } } as const
  t.match(
    describePipeline(definePipeline({ ...base, checks })),
    `${stated}, give or take 0.5 %, or it is published with a warning.\n`,
  )
})

t.test('a check that is turned off is not described as one', async t => {
  const checks = { volume: { atLeast: 0 }, empty: 'allow' } as const
  const words = describePipeline(definePipeline({ name: 'visits', source, table: small, map, checks }))
  t.match(words, 'when more than 1 % of the records are rejected.\n')
  t.match(words, ': believed at once.\n')
})

t.test('no text of a declaration breaks the table it stands in', async t => {
  const table = defineTable(
    'web.visits',
    {
      client_id: string({ description: 'one | two\nthree' }),
      date: date(),
      kind: string({ enum: ['a|b', 'c\nd', '`e`'], pattern: '`|\n' }),
    },
    { partitionBy: 'date' },
  )
  const words = describePipeline(
    definePipeline({
      name: 'visits',
      source,
      table,
      map: { ...map, kind: custom('STRING', () => 'a|b', 'line one\r\nline | two') },
    }),
  )
  const rows = words.split('\n').filter(line => line.startsWith('|'))
  t.equal(rows.length, 5, words)
  for (const row of rows) t.equal(row.match(/(?<!\\)\|/g)?.length, 7, row)
  t.match(words, 'one \\| two three')
  t.match(words, 'one of `a\\|b`, `c d`, `` `e` ``')
})
