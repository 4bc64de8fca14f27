import type { Value } from '../row.ts'
import { bool, type Column, date, float64, int64, json, nullable, numeric, string, timestamp } from '../table.ts'

/** Values of one column that must come back exactly as they were. */
export interface ValueCase {
  readonly title: string
  readonly column: Column
  readonly values: readonly Value[]
  /** How they are shown, where that is not their own text. */
  readonly expected?: readonly (string | null)[]
  /** Their exact sum, where the column is to be summed. */
  readonly totals?: string
}

/** An instant as microseconds since 1970, which is how the hosts show it. */
function micros(instant: string): string {
  return `${BigInt(Date.parse(`${instant.slice(0, 23)}Z`)) * 1000n + BigInt(instant.slice(23, 26))}`
}

const INSTANTS = [
  '0001-01-01T00:00:00.000000Z',
  '9999-12-31T23:59:59.999999Z',
  '2026-03-29T01:30:00.123456Z',
  '1969-12-31T23:59:59.999999Z',
]

const LONG = '99999999999999999999999999999.999999999'

/** What a value of each column type may be, at its edges. */
export const VALUE_CASES: readonly ValueCase[] = [
  {
    title: 'whole numbers are exact to both ends of 64 bits',
    column: nullable(int64()),
    values: ['-9223372036854775808', '9223372036854775807', '9007199254740993', -9007199254740991, 0, null],
  },
  {
    title: 'the sum of whole numbers is exact past 64 bits',
    column: int64(),
    values: ['9223372036854775807', '9223372036854775807', '9223372036854775807'],
    totals: '27670116110564327421',
  },
  {
    title: 'decimals are exact, short ones and long ones',
    column: nullable(numeric()),
    values: ['0.5', '-0.000000001', '999999999.999999999', '0', LONG, `-${LONG}`, '12345678901234567890.123456789', null],
  },
  {
    title: 'sums of decimals are exact',
    column: numeric(),
    values: [...Array<string>(30).fill('0.1'), '12345678901234567890.000000001'],
    totals: '12345678901234567893.000000001',
  },
  {
    title: 'doubles come back as they were',
    column: nullable(float64()),
    values: [5e-324, 1.7976931348623157e308, -1.7976931348623157e308, 0.1, 1e21, 1e-7, 2 ** 53 + 2, 1 / 3, null],
  },
  { title: 'true and false', column: nullable(bool()), values: [true, false, null], expected: ['true', 'false', null] },
  {
    title: 'days are exact from year 1 to year 9999',
    column: nullable(date()),
    values: ['0001-01-01', '9999-12-31', '2024-02-29', null],
  },
  {
    title: 'instants are exact to the microsecond',
    column: nullable(timestamp()),
    values: [...INSTANTS, null],
    expected: [...INSTANTS.map(micros), null],
  },
  {
    title: 'any text comes back as it was',
    column: nullable(string()),
    values: [
      '',
      'null',
      'é',
      '日本',
      '👩‍👧',
      '"',
      "'",
      '\\',
      '\\n',
      'a\nb\r\nc\td',
      ',',
      '`',
      '{{projectId}}',
      '{"a":1}',
      '\u2028',
      ' padded ',
      'x'.repeat(100_000),
      null,
    ],
  },
  {
    title: 'any JSON comes back as it was',
    column: nullable(json()),
    values: [
      '{"b":[1,2.5,null,true],"a":{"x":"y"}}',
      '[]',
      '"text"',
      '0.1',
      'true',
      '"{{projectId}}"',
      '"a\\nb"',
      '{"é":"\\"\\\\"}',
      null,
    ],
  },
]
