import t from 'tap'
import { defineConnector } from '../lib/connector.ts'
import { ConfigError } from '../lib/errors.ts'
import { client, constant, custom, day, integer, micros, optional, text, timestamp } from '../lib/mapping.ts'
import { type AnyExpr, definePipeline, type Pipeline } from '../lib/pipeline.ts'
import { bool, date, defineTable, float64, timestamp as instant, int64, nullable, numeric, string } from '../lib/table.ts'

const source = defineConnector<Record<string, unknown>>({ name: 'loose', async *pages() {} })
const table = defineTable(
  'web.visits',
  {
    client_id: string(),
    date: date(),
    n: int64(),
    maybe: nullable(int64()),
    ratio: float64(),
    cost: numeric(),
    on: bool(),
    at: nullable(instant()),
  },
  { partitionBy: 'date' },
)
const map = {
  client_id: client(),
  date: day('date'),
  n: integer('n'),
  maybe: optional(integer('n')),
  ratio: custom('FLOAT64', () => 1, 'shows a word'),
  cost: custom('NUMERIC', () => '1', 'shows a word'),
  on: constant(true),
  at: optional(timestamp('at')),
}

/** Everything that is wrong with a declaration, as it would come from JavaScript. */
function problems(options: Record<string, unknown>): string {
  const declare = definePipeline as unknown as (options: Record<string, unknown>) => Pipeline
  try {
    declare({ name: 'visits', source, table, map, ...options })
    return ''
  } catch (error) {
    if (error instanceof ConfigError && error.code === 'PIPELINE_INVALID') return error.message.replace('pipeline visits: ', '')
    throw error
  }
}

t.test('a pipeline has the defaults that its options document', async t => {
  const pipeline = definePipeline({ name: 'visits', source, table, map })
  t.match(pipeline, {
    name: 'visits',
    chunk: { days: 1 },
    checks: {
      rejects: { atMost: 0.01 },
      volume: { atLeast: 0.5 },
      empty: 'confirm',
      drift: 'warn',
      sourceTotals: { atMost: 0, policy: 'hold' },
    },
    totals: [],
    sourceTotals: {},
    schedule: [],
    after: [],
  })
  t.equal(pipeline.source, source)
  t.equal(pipeline.table, table)
  t.equal(pipeline.map, map)
  t.notOk('description' in pipeline)
})

t.test('a pipeline keeps what it is given', async t => {
  const checks = { rejects: { atMost: 0 }, volume: { atLeast: 0 }, empty: 'hold', drift: 'fail' } as const
  const given = { description: 'Visits.', chunk: { days: 31 }, checks, totals: ['n', 'cost'] } as const
  t.match(definePipeline({ name: 'visits', source, table, map, ...given }), given)
})

t.test('a name is lower-case words joined by hyphens', async t => {
  for (const name of ['', 'Visits', 'a_b', 'a--b', '-a', 'a-', '1a', 'a b', 'a/b', 'ä']) {
    t.match(problems({ name }), 'its name must be lower-case words joined by hyphens', JSON.stringify(name))
  }
  for (const name of ['a', 'a1', 'keyword-performance-2']) t.equal(problems({ name }), '')
})

t.test('every column has one expression of its type, and nothing else has', async t => {
  const { n: _, ...without } = map
  t.equal(problems({ map: without }), 'no expression for column n')
  t.equal(problems({ map: { ...map, visits: integer('n') } }), 'visits is not a column of web.visits')
  t.equal(problems({ map: { ...map, n: text('n') } }), 'column n is INT64, its expression makes STRING')
  t.equal(problems({ map: { ...map, n: optional(integer('n')) } }), 'column n is required, its expression may give null')
  t.equal(problems({ map: { ...map, maybe: integer('n') } }), '')
})

t.test('a column named like something every object has still needs its expression', async t => {
  const hostile = defineTable('web.visits', { client_id: string(), date: date(), constructor: string() }, { partitionBy: 'date' })
  const { client_id, date: when } = map
  t.equal(problems({ table: hostile, map: { client_id, date: when } }), 'no expression for column constructor')
  t.equal(problems({ table: hostile, map: { client_id, date: when, constructor: text('x') } }), '')
  t.match(problems({ map: { ...map, toString: text('x') } }), 'column toString is undefined, its expression makes STRING')
})

t.test('a path has names between its dots', async t => {
  for (const path of ['', '.', 'a.', '.a', 'a..b', undefined]) {
    t.equal(problems({ map: { ...map, n: { ...integer('x'), path } } }), `column n: ${path} is not a path`, JSON.stringify(path))
  }
  for (const path of ['a', 'a.0.b', 'with space.ä', "o'neill", '"', '\n', '__proto__']) {
    t.equal(problems({ map: { ...map, n: integer(path) } }), '', JSON.stringify(path))
  }
  t.equal(problems({ map: { ...map, client_id: client('a..b') } }), 'column client_id: a..b is not a path')
})

t.test('an instant is counted in a unit that exists', async t => {
  for (const unit of ['s', 'ms', 'us'] as const) t.equal(problems({ map: { ...map, at: timestamp('at', unit) } }), '')
  t.equal(
    problems({ map: { ...map, at: { ...timestamp('at'), unit: 'minutes' } } }),
    'column at: unit minutes is not s, ms or us',
  )
})

t.test('a custom expression says why', async t => {
  for (const why of ['', '  ', undefined]) {
    t.equal(
      problems({ map: { ...map, n: { ...custom('INT64', () => 1, 'x'), why } } }),
      'column n: a custom expression says why it is needed',
    )
  }
})

t.test('a constant is text, a whole number, or a boolean, exactly', async t => {
  for (const value of [1.5, Number.NaN, 2 ** 53, null, undefined, { a: 1 }, 1n, '\ud800']) {
    const expr = { ...constant(7), value } as AnyExpr
    t.equal(problems({ map: { ...map, n: expr } }), `column n: the constant ${value} is not text, a whole number, or a boolean`)
  }
  for (const value of [0, -5, 2 ** 53 - 1]) t.equal(problems({ map: { ...map, n: constant(value) } }), '')
  t.equal(problems({ map: { ...map, client_id: constant('') } }), '')
  t.equal(problems({ map: { ...map, on: constant(false) } }), '')
})

t.test('a control total is on a required INT64 or NUMERIC column, once', async t => {
  for (const total of ['client_id', 'ratio', 'maybe', 'on', 'nowhere', 'constructor']) {
    t.equal(problems({ totals: [total] }), `total ${total} is not a required INT64 or NUMERIC column`)
  }
  t.equal(problems({ totals: ['n', 'cost', 'n'] }), 'totals names a column twice')
})

t.test('what the source states is a total of the pipeline, in its type, and never null', async t => {
  const stating = (column: string, expr: unknown, totals = ['n', 'cost']): string =>
    problems({ totals, sourceTotals: { [column]: expr } })
  t.equal(stating('n', integer('clicks')), '')
  t.equal(stating('n', integer('clicks'), ['cost']), 'source total n is not among totals')
  t.equal(stating('click', integer('clicks')), 'source total click is not among totals')
  t.equal(stating('n', micros('clicks')), 'source total n is INT64, its expression makes NUMERIC')
  t.equal(stating('n', optional(integer('clicks'))), 'source total n is INT64, its expression makes null or INT64')
  t.equal(stating('n', integer('')), 'source total n:  is not a path')
  t.equal(problems({ checks: { sourceTotals: { policy: 'fail' } } }), 'checks.sourceTotals.policy fail is not hold or warn')
  t.equal(problems({ checks: { sourceTotals: { atMost: 2 } } }), 'checks.sourceTotals.atMost 2 is not a share from 0 to 1')
})

t.test('checks and chunks are within their limits', async t => {
  for (const days of [0, -1, 1.5, 367, Number.NaN, '3'])
    t.equal(problems({ chunk: { days } }), `chunk.days ${days} is not 1 to 366`)
  for (const days of [1, 366]) t.equal(problems({ chunk: { days } }), '')
  for (const share of [-0.1, 1.1, Number.NaN]) {
    t.equal(problems({ checks: { rejects: { atMost: share } } }), `checks.rejects.atMost ${share} is not a share from 0 to 1`)
    t.equal(problems({ checks: { volume: { atLeast: share } } }), `checks.volume.atLeast ${share} is not a share from 0 to 1`)
  }
  t.equal(problems({ checks: { empty: 'ignore' } }), 'checks.empty ignore is not confirm, hold or allow')
  t.equal(problems({ checks: { drift: 'ignore' } }), 'checks.drift ignore is not warn, hold or fail')
})

t.test('what monitors hold against a pipeline is within limits', async t => {
  t.equal(problems({ freshness: { hours: -1 } }), 'freshness.hours -1 is not 0 to 1,000')
  t.equal(problems({ holidays: ['2026-02-30'] }), 'the holiday 2026-02-30 is not a day, YYYY-MM-DD')
  t.equal(problems({ budget: { bytesPerDay: Number.NaN } }), 'budget.bytesPerDay NaN is not a number above 0')
  t.equal(problems({ thresholds: { leastRows: 0 } }), 'thresholds.leastRows 0 is not from 1 to 1000000000')
  t.equal(problems({ thresholds: { leastrows: 5 } }), 'thresholds.leastrows is not a threshold')
  t.equal(problems({ freshness: { hours: 12 }, holidays: ['2026-12-25'], thresholds: { share: 0.5 } }), '')
})

t.test('a pipeline promises something when it has a schedule, or says so', async t => {
  const plain = { name: 'visits', source, table, map }
  const schedule = [{ name: 'daily', cron: '0 6 * * *', lookbackDays: 3 }]
  t.equal(definePipeline(plain).freshness, null)
  t.strictSame(definePipeline({ ...plain, schedule }).freshness, { hours: 36 })
  t.strictSame(definePipeline({ ...plain, schedule, freshness: { hours: 5 } }).freshness, { hours: 5 })
})

t.test('a pipeline that waits for others says for which, and how strictly', async t => {
  const { after } = definePipeline({
    name: 'visits',
    source,
    table,
    map,
    after: ['accounts', { pipeline: 'shops' }, { pipeline: 'prices', gaps: 0.1, policy: 'skip' }],
  })
  t.same(after, [
    { pipeline: 'accounts', gaps: 0, policy: 'wait' },
    { pipeline: 'shops', gaps: 0, policy: 'wait' },
    { pipeline: 'prices', gaps: 0.1, policy: 'skip' },
  ])
  for (const gaps of [-0.1, 1, Number.NaN]) {
    t.equal(problems({ after: [{ pipeline: 'a', gaps }] }), `after a: gaps ${gaps} is not a share from 0 to below 1`)
  }
  t.equal(problems({ after: [{ pipeline: 'a', policy: 'drop' }] }), 'after a: policy drop is not wait or skip')
  t.equal(problems({ after: ['a', { pipeline: 'a', gaps: 0.5 }] }), 'after names a twice')
})

t.test('a schedule has a name of its own, an expression of cron, and a lookback', async t => {
  const daily = { name: 'daily', cron: '0 6 * * *', lookbackDays: 3 }
  t.same(definePipeline({ name: 'visits', source, table, map, schedule: [daily] }).schedule, [daily])
  for (const [more, problem] of [
    [{ cron: '0 6 * *' }, 'schedule daily: cron 0 6 * * does not have five fields: minute, hour, day, month, day of the week'],
    [{ cron: '@daily' }, 'schedule daily: cron @daily does not have five fields: minute, hour, day, month, day of the week'],
    [{ cron: '0 25 * * *' }, 'schedule daily: cron 0 25 * * * is no expression of cron: Invalid value for hour: 25'],
    [{ cron: '0 6 31 2 *' }, 'schedule daily: cron 0 6 31 2 * is never due'],
    [{ cron: '? 6 * * *' }, 'schedule daily: cron ? 6 * * * has a ?, which names no time'],
    [{ lookbackDays: 0 }, 'schedule daily: lookbackDays 0 is not 1 to 366'],
    [{ lookbackDays: 367 }, 'schedule daily: lookbackDays 367 is not 1 to 366'],
    [{ lookbackDays: 1.5 }, 'schedule daily: lookbackDays 1.5 is not 1 to 366'],
    [{ name: 'Every day' }, 'the name of schedule Every day must be lower-case words joined by hyphens'],
    [{ name: 'missing' }, 'a schedule cannot be named missing: days that no schedule wants are read for that reason'],
  ] as const) {
    t.equal(problems({ schedule: [{ ...daily, ...more }] }), problem)
  }
  t.equal(problems({ schedule: [daily, { ...daily, cron: '0 7 * * *' }] }), 'two schedules are named daily')
})

t.test('every contradiction is named at once', async t => {
  const { n: _, ...without } = map
  t.equal(
    problems({ map: { ...without, date: text('date') }, totals: ['ratio'], chunk: { days: 0 } }),
    'no expression for column n; column date is DATE, its expression makes STRING; ' +
      'total ratio is not a required INT64 or NUMERIC column; chunk.days 0 is not 1 to 366',
  )
})
