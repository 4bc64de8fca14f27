import { invalidQuery } from '../errors.ts'
import { literal } from '../types.ts'
import type { Call, Expr } from './ast.ts'

/** Renders the arguments of a call. */
export type Render = (expr: Expr) => string

/** Functions that DuckDB has under the same name and that mean the same there. */
const SAME = new Set(
  (
    'COALESCE IFNULL NULLIF ABS SIGN FLOOR CEIL ROUND LOWER UPPER TRIM LENGTH SUBSTR STARTS_WITH ENDS_WITH REPLACE COUNT SUM MIN MAX AVG ANY_VALUE ' +
    'ROW_NUMBER RANK STRPOS'
  ).split(' '),
)

/** Functions that only have another name. */
const RENAMED: Readonly<Record<string, string>> = {
  COUNTIF: 'count_if',
  ARRAY_LENGTH: 'len',
  LOGICAL_AND: 'bool_and',
  LOGICAL_OR: 'bool_or',
  ARRAY_AGG: 'list',
  STRING_AGG: 'string_agg',
  ERROR: 'error',
  UNIX_MICROS: 'epoch_us',
  UNIX_MILLIS: 'epoch_ms',
}

const PARTS = new Set(['MICROSECOND', 'MILLISECOND', 'SECOND', 'MINUTE', 'HOUR', 'DAY', 'ISOWEEK', 'MONTH', 'QUARTER', 'YEAR'])

/** Functions that are put together from others. */
const BUILT: Readonly<Record<string, (args: readonly string[], call: Call) => string>> = {
  IF: ([condition, then, otherwise]) => `CASE WHEN ${condition} THEN ${then} ELSE ${otherwise} END`,
  CONCAT: args => `(${args.map(arg => `hr_string(${arg})`).join(' || ')})`,
  // DuckDB's pass over NULLs; GoogleSQL's do not.
  GREATEST: args => strict('greatest', args),
  LEAST: args => strict('least', args),
  SAFE_DIVIDE: ([a, b]) => `(${a} / nullif(${b}, 0))`,
  DIV: ([a, b]) => `hr_divide_whole(${a}, ${b})`,
  MOD: ([a, b]) => `(${a} % ${b})`,
  CURRENT_TIMESTAMP: () => 'now()',
  CURRENT_DATE: () => 'CAST(now() AS DATE)',
  DATE: args => (args.length === 1 ? `CAST(${args[0]} AS DATE)` : `make_date(${args.join(', ')})`),
  TIMESTAMP: ([value]) => `CAST(${value} AS TIMESTAMPTZ)`,
  UNIX_SECONDS: ([value]) => `CAST(floor(epoch_us(${value}) / 1000000) AS BIGINT)`,
  TIMESTAMP_MICROS: ([value]) => `make_timestamptz(CAST(${value} AS BIGINT))`,
  FORMAT_TIMESTAMP: ([format, value]) => `strftime(CAST(${value} AS TIMESTAMP), ${format})`,
  FORMAT_DATE: ([format, value]) => `strftime(CAST(${value} AS DATE), ${format})`,
  PARSE_JSON: ([value]) => `json(${value})`,
  SPLIT: ([value, by = "','"]) => `string_split(${value}, ${by})`,
  GENERATE_UUID: () => 'CAST(uuid() AS VARCHAR)',
  GENERATE_ARRAY: ([from, to, step = '1']) => `generate_series(${from}, ${to}, ${step})`,
  GENERATE_DATE_ARRAY: ([from, to, step = '1'], { part = 'DAY' }) =>
    `CAST(generate_series(CAST(${from} AS TIMESTAMP), CAST(${to} AS TIMESTAMP), to_${part.toLowerCase()}s(${step})) AS DATE[])`,
  DATE_ADD: ([day, n], { part }) => `CAST(${day} + ${interval(n, part)} AS DATE)`,
  DATE_SUB: ([day, n], { part }) => `CAST(${day} - ${interval(n, part)} AS DATE)`,
  TIMESTAMP_ADD: ([time, n], { part }) => `(${time} + ${interval(n, part)})`,
  TIMESTAMP_SUB: ([time, n], { part }) => `(${time} - ${interval(n, part)})`,
  DATE_DIFF: ([a, b], { part }) => `date_diff('${known(part)}', ${b}, ${a})`,
  DATE_TRUNC: ([day], { part }) => `CAST(date_trunc('${known(part)}', ${day}) AS DATE)`,
  TIMESTAMP_TRUNC: ([time], { part }) => `date_trunc('${known(part)}', CAST(${time} AS TIMESTAMPTZ))`,
}

/** Translates a call; throws on a function this server does not know. */
export function renderCall(call: Call, render: Render): string {
  const { name, star, distinct, over, orderBy } = call
  const args = call.args.map(render)
  if (call.part !== undefined && !(name in BUILT)) throw unknown(`${name} with an interval`)
  const built = BUILT[name]
  if (name === 'FORMAT') return format(call, args)
  if (built !== undefined) {
    if (star || distinct || over !== undefined || orderBy.length > 0 || call.limit !== undefined || call.ignoreNulls)
      throw unknown(`${name} like this`)
    return built(args, call)
  }
  const target = SAME.has(name) ? name.toLowerCase() : RENAMED[name]
  if (target === undefined) throw unknown(`Function ${name}`)
  if (call.ignoreNulls && name !== 'ARRAY_AGG') throw unknown(`${name} with IGNORE NULLS`)
  const order = orderBy.length === 0 ? '' : ` ORDER BY ${orderBy.map(ordering => renderOrdering(ordering, render)).join(', ')}`
  const filter = call.ignoreNulls ? ` FILTER (WHERE ${args[0]} IS NOT NULL)` : ''
  const inner = star ? '*' : `${distinct ? 'DISTINCT ' : ''}${args.join(', ')}${order}`
  const plain = `${target}(${inner})${filter}${over === undefined ? '' : ` OVER (${renderWindow(over, render)})`}`
  return call.limit === undefined ? plain : `(${plain})[1:${render(call.limit)}]`
}

/** Translates one key of an ORDER BY. */
export function renderOrdering({ by, descending, nulls }: Call['orderBy'][number], render: Render): string {
  return `${render(by)}${descending ? ' DESC' : ''}${nulls === undefined ? '' : ` NULLS ${nulls}`}`
}

function renderWindow({ partitionBy, orderBy }: NonNullable<Call['over']>, render: Render): string {
  const partition = partitionBy.length === 0 ? '' : `PARTITION BY ${partitionBy.map(render).join(', ')} `
  return `${partition}${orderBy.length === 0 ? '' : `ORDER BY ${orderBy.map(one => renderOrdering(one, render)).join(', ')}`}`
}

/** `FORMAT`: NULL makes the whole text NULL for `%d` and `%s`, and is written out for `%t`. */
function format({ args: [pattern] }: Call, args: readonly string[]): string {
  if (pattern?.kind !== 'literal' || pattern.type !== 'STRING') throw unknown('FORMAT without a literal pattern')
  let next = 1
  const pieces = pattern.text.split(/(%.)/).flatMap(piece => {
    if (piece === '') return []
    if (!/^%./.test(piece)) return [literal(piece)]
    if (piece === '%%') return ["'%'"]
    if (!['%t', '%d', '%s'].includes(piece)) throw unknown(`FORMAT with ${piece}`)
    const value = args[next++]
    if (value === undefined) throw invalidQuery('Too few arguments to FORMAT')
    return [piece === '%t' ? `coalesce(hr_string(${value}), 'NULL')` : `hr_string(${value})`]
  })
  if (next !== args.length) throw invalidQuery('Too many arguments to FORMAT')
  return pieces.length === 0 ? "''" : `(${pieces.join(' || ')})`
}

function strict(name: string, args: readonly string[]): string {
  return `CASE WHEN ${args.map(arg => `${arg} IS NULL`).join(' OR ')} THEN NULL ELSE ${name}(${args.join(', ')}) END`
}

function interval(n: string | undefined, part: string | undefined): string {
  return `to_${known(part)}s(CAST(${n} AS BIGINT))`
}

function known(part: string | undefined): string {
  if (part === undefined || !PARTS.has(part)) throw unknown(`Date part ${part}`)
  return part === 'ISOWEEK' ? 'week' : part.toLowerCase()
}

function unknown(what: string): Error {
  return invalidQuery(`${what} is not known to this local server`)
}
