import t from 'tap'
import { Bytes } from '../../lib/bytes.ts'
import type { AnyRow } from '../../lib/row.ts'
import { bool, date, defineTable, float64, int64, json, nullable, numeric, string, timestamp } from '../../lib/table.ts'
import { compileJson, rejectLines } from '../../lib/warehouse/bigquery/json.ts'

const columns = {
  client_id: string(),
  date: date(),
  clicks: nullable(int64()),
  cost: nullable(numeric()),
  ratio: nullable(float64()),
  paid: nullable(bool()),
  at: nullable(timestamp()),
  extra: nullable(json()),
  note: nullable(string()),
}

function line(row: AnyRow, key: ('client_id' | 'date' | 'clicks')[] = ['client_id', 'date']): string[] {
  const bytes = new Bytes()
  const keyEnd = compileJson(defineTable('ads.daily', columns, { partitionBy: 'date', key }))(row, bytes)
  return [bytes.slice(0, keyEnd), bytes.slice(keyEnd)].map(String)
}

const EMPTY: AnyRow = {
  client_id: 'a',
  date: '2026-01-01',
  clicks: null,
  cost: null,
  ratio: null,
  paid: null,
  at: null,
  extra: null,
  note: null,
}

t.test('a row is one line of JSON, its key first', async t => {
  const [key, rest] = line(EMPTY)
  t.equal(key, '{"client_id":"a","date":"2026-01-01"')
  t.equal(rest, ',"clicks":null,"cost":null,"ratio":null,"paid":null,"at":null,"extra":null,"note":null}\n')
})

t.test('a table without a key has its whole row in the second piece', async t => {
  const [key, rest = ''] = line(EMPTY, [])
  t.equal(key, '')
  t.same(JSON.parse(rest), EMPTY)
  t.ok(rest.startsWith('{"client_id":"a"'))
})

t.test('no number that needs more than a double is written as a JSON number', async t => {
  const row = { ...EMPTY, clicks: '9223372036854775807', cost: '12345678901234567890.123456789', ratio: 1e21 }
  const text = line(row).join('')
  t.match(text, '"clicks":"9223372036854775807","cost":"12345678901234567890.123456789","ratio":1e+21')
  t.match(line({ ...EMPTY, clicks: -3, cost: '0.1', ratio: 0.1 }).join(''), '"clicks":-3,"cost":"0.1","ratio":0.1')
})

t.test('text is text, whatever stands in it', async t => {
  const note = 'a\nb "c" \\ \u2028 {{projectId}} é 👩'
  const text = line({ ...EMPTY, note }).join('')
  t.equal(text.trimEnd().split('\n').length, 1)
  t.equal(JSON.parse(text).note, note)
})

t.test('JSON is part of the line, and may have been written over several', async t => {
  const text = line({ ...EMPTY, extra: '{\n  "a": [1,\r\n "x\\ny"]\n}' }).join('')
  t.equal(text.trimEnd().split(/[\n\r]/).length, 1)
  t.same(JSON.parse(text).extra, { a: [1, 'x\ny'] })
})

t.test('a reject is one line with its record in it', async t => {
  const reject = { day: '2026-01-01', column: null, rule: 'record', value: null, reason: 'no\nobject', record: '[1,\n2]' }
  const lines = rejectLines([reject, { ...reject, column: 'cost', value: '"x"' }])
    .trimEnd()
    .split('\n')
  t.same(
    lines.map(text => JSON.parse(text)),
    [
      { day: '2026-01-01', column_name: null, rule: 'record', value: null, reason: 'no\nobject', record: [1, 2] },
      { day: '2026-01-01', column_name: 'cost', rule: 'record', value: '"x"', reason: 'no\nobject', record: [1, 2] },
    ],
  )
})
