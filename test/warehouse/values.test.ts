import t from 'tap'
import { bool, date, defineTable, float64, int64, nullable, numeric, string, timestamp } from '../../lib/table.ts'
import { calling, DAY, prepared, publish, query, rowsOf, stage, tableOf } from './kit.ts'

t.test('whole numbers are exact to both ends of 64 bits', async t => {
  const table = tableOf(nullable(int64()))
  const { warehouse, path } = await prepared(t, table)
  const values = ['-9223372036854775808', '9223372036854775807', '9007199254740993', -9007199254740991, 0, null]
  await publish(warehouse, table, rowsOf(values))
  const found = await query(path, 'SELECT value::VARCHAR AS value FROM ads.values')
  t.same(found.map(({ value }) => value).sort(), values.map(value => (value === null ? null : String(value))).sort())
})

t.test('their sum is exact past 64 bits', async t => {
  const table = tableOf(int64())
  const { warehouse } = await prepared(t, table)
  const publication = await publish(warehouse, table, rowsOf(Array(3).fill('9223372036854775807')), ['value'])
  t.same(publication.present[0]?.totals, { value: '27670116110564327421' })
})

t.test('decimals are exact, short ones and long ones and both in one group', async t => {
  const long = '99999999999999999999999999999.999999999'
  const short = ['0.5', '-0.000000001', '999999999.999999999', '-999999999', '0']
  for (const [name, values] of [
    ['18 digits', short],
    ['38 digits', [long, `-${long}`, '1000000000', '12345678901234567890.123456789']],
    ['both', [...short, long]],
  ] as const) {
    const table = tableOf(nullable(numeric()))
    const { warehouse, path } = await prepared(t, table)
    await publish(warehouse, table, rowsOf([...values, null]))
    const found = await query(path, 'SELECT value::VARCHAR AS value FROM ads.values WHERE value IS NOT NULL')
    const nines = (text: string): string =>
      `${text}${text.includes('.') ? '' : '.'}`.replace(/\.(\d*)$/, (_, d) => `.${d.padEnd(9, '0')}`)
    t.same(found.map(({ value }) => value).sort(), values.map(nines).sort(), name)
  }
})

t.test('a long decimal of one member does not keep another from being exact', async t => {
  const table = tableOf(numeric())
  const { warehouse } = await prepared(t, table)
  const draft = (client: string, value: string) => ({
    client,
    from: DAY,
    totals: ['value'],
    rows: [{ client_id: client, date: DAY, value }],
  })
  const commit = async (a: string, b: string): Promise<unknown[]> => {
    const members = [await stage(warehouse, table, draft('a', a)), await stage(warehouse, table, draft('b', b))]
    const publications = await warehouse.commit(table, ['value'], members, calling())
    return publications.map(({ present }) => present[0]?.totals.value)
  }
  t.same(await commit('0.1', '12345678901234567890.1'), ['0.100000000', '12345678901234567890.100000000'])
  t.same(await commit('98765432109876543210', '0.3'), ['98765432109876543210.000000000', '0.300000000'])
})

t.test('doubles come back as they were, but for the sign of zero', async t => {
  const table = tableOf(nullable(float64()))
  const { warehouse, path } = await prepared(t, table)
  const values = [5e-324, 1.7976931348623157e308, -1.7976931348623157e308, 0.1, 1e21, 1e-7, 2 ** 53 + 2, 1 / 3]
  await publish(warehouse, table, rowsOf([...values, null, -0]))
  for (const value of values) {
    const [row] = await query(path, `SELECT count(*) AS rows FROM ads.values WHERE value = ${value}::DOUBLE`)
    t.equal(row?.rows, '1', String(value))
  }
  const [zero] = await query(path, 'SELECT value FROM ads.values WHERE value = 0')
  t.equal(Number(zero?.value), 0)
})

t.test('days and instants are exact from year 1 to year 9999', async t => {
  const table = defineTable(
    'ads.values',
    { client_id: string(), date: date(), day: nullable(date()), at: nullable(timestamp()) },
    { partitionBy: 'date' },
  )
  const { warehouse, path } = await prepared(t, table)
  const instants = ['0001-01-01T00:00:00.000000Z', '9999-12-31T23:59:59.999999Z', '2026-03-29T01:30:00.123456Z', null]
  const days = ['0001-01-01', '9999-12-31', '2024-02-29', null]
  await publish(
    warehouse,
    table,
    instants.map((at, index) => ({ client_id: 'a', date: DAY, day: days[index] ?? null, at })),
  )
  const found = await query(path, 'SELECT day::VARCHAR AS day, epoch_us("at") AS micro FROM ads.values ORDER BY 2 NULLS LAST')
  const since1970 = (text: string): string => `${Date.parse(`${text.slice(0, 23)}Z`)}${text.slice(23, 26)}`
  t.same(
    found.map(({ day, micro }) => [day, micro]),
    [
      ['0001-01-01', since1970('0001-01-01T00:00:00.000000Z')],
      ['2024-02-29', since1970('2026-03-29T01:30:00.123456Z')],
      ['9999-12-31', since1970('9999-12-31T23:59:59.999999Z')],
      [null, null],
    ],
  )
})

t.test('windows reach from year 1 to year 9999', async t => {
  const table = tableOf(string())
  const { warehouse } = await prepared(t, table)
  for (const day of ['0001-01-01', '9999-12-31']) {
    const rows = [{ client_id: 'a', date: day, value: 'x' }]
    const [done] = await warehouse.commit(table, [], [await stage(warehouse, table, { client: 'a', from: day, rows })], calling())
    t.same(done?.present, [{ client: 'a', day, rows: 1, totals: {} }])
  }
})

t.test('true, false and null are three', async t => {
  const table = tableOf(nullable(bool()))
  const { warehouse, path } = await prepared(t, table)
  await publish(warehouse, table, rowsOf([true, false, null]))
  t.same(
    (await query(path, 'SELECT value FROM ads.values ORDER BY value NULLS LAST')).map(({ value }) => value),
    [false, true, null],
  )
})

t.test('columns may be named like anything in SQL, and all be part of the key', async t => {
  const columns = {
    client_id: string(),
    date: date(),
    select: string(),
    order: string(),
    rows: string(),
    day: string(),
    client: string(),
    first: string(),
    attempt_id: string(),
    filename: string(),
    at: string(),
    t: string(),
    Value: string(),
  }
  const table = defineTable('select.from', columns, {
    partitionBy: 'date',
    key: ['client_id', 'date', 'select', 'order', 'rows', 'day', 'client', 'first', 'attempt_id', 'filename', 'at', 't', 'Value'],
  })
  const { warehouse, path } = await prepared(t, table)
  const names = Object.keys(columns)
  const row = { ...Object.fromEntries(names.map(name => [name, `${name},"`])), client_id: 'a', date: DAY }
  for (const checkKey of [false, true]) {
    const member = await stage(warehouse, table, { client: 'a', from: DAY, rows: [row], checkKey, restated: [DAY] })
    await warehouse.commit(table, [], [member], calling())
  }
  const [found] = await query(path, 'SELECT * FROM "select"."from"')
  t.same(found, row)
})
