import { bufferName, tableName } from '../catalogue.ts'
import { invalidQuery } from '../errors.ts'
import { duckType, literal, quote } from '../types.ts'
import type { Expr, From, Item, Query, Select, WrittenType } from './ast.ts'
import { renderCall, renderOrdering } from './functions.ts'
import { renderJson } from './json-text.ts'
import { mustBeFiltered, parameterName, Scope, type Source, type TableUse } from './scope.ts'
import { position } from './tokens.ts'
import { isAggregated } from './walk.ts'

/** Translates an expression into DuckDB's SQL. */
export function renderExpr(expr: Expr, scope: Scope): string {
  const render = (inner: Expr): string => renderExpr(inner, scope)
  switch (expr.kind) {
    case 'literal':
      return renderLiteral(expr)
    case 'name':
      return scope.resolve(expr).sql
    case 'parameter': {
      const { parameters, sql } = scope.environment
      if (!parameters.has(expr.name.toLowerCase())) {
        throw invalidQuery(`Query parameter '${expr.name}' not found at ${position(sql, expr.at)}`)
      }
      return parameterName(expr.name)
    }
    case 'rowCount':
      return `CAST(${scope.environment.rowCount ?? 'NULL'} AS BIGINT)`
    case 'call':
      return expr.name === 'TO_JSON_STRING' ? renderJson(expr.args[0], scope, render) : renderCall(expr, render)
    case 'unary':
      return `(${expr.op} ${render(expr.operand)})`
    case 'binary':
      return renderBinary(expr.op, render(expr.left), render(expr.right))
    case 'is':
      return `(${render(expr.operand)} IS ${expr.not ? 'NOT ' : ''}${expr.what})`
    case 'between':
      return `(${render(expr.operand)} ${expr.not ? 'NOT ' : ''}BETWEEN ${render(expr.low)} AND ${render(expr.high)})`
    case 'in': {
      const { among } = expr
      // Of the rows of a subquery, NULLs count as GoogleSQL wants it, and so does an array that is empty or NULL.
      const inside =
        'list' in among
          ? among.list.map(render).join(', ')
          : 'query' in among
            ? renderQuery(among.query, scope)
            : `SELECT unnest(${render(among.unnest)})`
      return `(${render(expr.operand)} ${expr.not ? 'NOT ' : ''}IN (${inside}))`
    }
    case 'case': {
      const whens = expr.whens.map(([when, then]) => `WHEN ${render(when)} THEN ${render(then)}`).join(' ')
      const operand = expr.operand === undefined ? '' : `${render(expr.operand)} `
      return `CASE ${operand}${whens}${expr.otherwise === undefined ? '' : ` ELSE ${render(expr.otherwise)}`} END`
    }
    case 'cast':
      return renderCast(render(expr.operand), expr.type, expr.safe)
    case 'array':
      return `[${expr.items.map(render).join(', ')}]`
    case 'struct':
      return `{${expr.fields.map(({ name, value }) => `${literal(name)}: ${render(value)}`).join(', ')}}`
    case 'subquery': {
      const query = renderQuery(expr.query, scope)
      if (expr.how === 'exists') return `EXISTS (${query})`
      if (expr.how === 'scalar') return `(${query})`
      return isStruct(expr.query) ? `array(SELECT _row FROM (${query}) AS _row)` : `array(${query})`
    }
    case 'extract':
      if (!/^(YEAR|MONTH|DAY|HOUR|MINUTE|SECOND|QUARTER|ISOYEAR|ISOWEEK|DAYOFYEAR)$/.test(expr.part)) {
        throw invalidQuery(`EXTRACT(${expr.part}) is not known to this local server`)
      }
      return `EXTRACT(${expr.part === 'ISOWEEK' ? 'WEEK' : expr.part === 'DAYOFYEAR' ? 'DOY' : expr.part} FROM ${render(expr.from)})`
    case 'element': {
      const index = `${render(expr.index)} + ${1 - expr.base}`
      const found = `(${render(expr.array)})[${index}]`
      const outside = `${index} < 1 OR ${index} > len(${render(expr.array)})`
      return expr.safe
        ? `CASE WHEN ${outside} THEN NULL ELSE ${found} END`
        : `CASE WHEN ${outside} THEN error('Array index out of bounds') ELSE ${found} END`
    }
  }
}

function renderLiteral({ type, text }: Extract<Expr, { kind: 'literal' }>): string {
  if (type === 'NULL' || type === 'BOOL' || type === 'FLOAT64') return text
  if (type === 'INT64') return `${text}::BIGINT`
  return type === 'STRING' ? literal(text) : `CAST(${literal(text)} AS ${duckType(type)})`
}

function renderBinary(op: string, left: string, right: string): string {
  if (op === '/') return `hr_divide(${left}, ${right})`
  if (op.endsWith('LIKE')) return `(${left} ${op} ${right} ESCAPE '\\')`
  return `(${left} ${op === '!=' ? '<>' : op} ${right})`
}

function renderCast(operand: string, type: WrittenType, safe: boolean): string {
  if (type === 'STRING') return `hr_string(${operand})`
  return `${safe ? 'TRY_CAST' : 'CAST'}(${operand} AS ${type === 'BIGNUMERIC' ? duckType('NUMERIC') : duckType(type)})`
}

/** Translates a query. */
export function renderQuery(query: Query, outer: Scope | undefined, environment = outer?.environment): string {
  if (environment === undefined) throw new Error('a query without surroundings')
  const scope = new Scope(environment, outer)
  const ctes = query.ctes.map(({ name, query: inner }) => {
    const sql = renderQuery(inner, scope)
    scope.addCte(name, columnsOf(inner, scope))
    return `${quote(name)} AS (${sql})`
  })
  const { sql: body, inner } = renderBody(query, scope)
  const render = (expr: Expr): string => renderExpr(expr, inner)
  const keys = query.orderBy.map(key => (isOrdinal(key.by) ? { ...key, by: ordinal(key.by.text) } : key))
  const order =
    keys.length === 0 ? '' : ` ORDER BY ${keys.map(key => renderOrdering(key, expr => raw(expr) ?? render(expr))).join(', ')}`
  const limit = query.limit === undefined ? '' : ` LIMIT ${render(query.limit)}`
  const offset = query.offset === undefined ? '' : ` OFFSET ${render(query.offset)}`
  return `${ctes.length === 0 ? '' : `WITH ${ctes.join(', ')} `}${body}${order}${limit}${offset}`
}

function renderBody({ body }: Query, scope: Scope): { sql: string; inner: Scope } {
  if (body.kind === 'select') return renderSelect(body, scope)
  if (body.kind === 'nested') return { sql: `(${renderQuery(body.query, scope)})`, inner: aliasesOf(body.query, scope) }
  const op = body.op.replace(' DISTINCT', '')
  const sql = `(${renderQuery(body.left, scope)}) ${op} (${renderQuery(body.right, scope)})`
  return { sql, inner: aliasesOf(body.left, scope) }
}

/** What can be named after a query whose own sources are out of sight: its columns. */
function aliasesOf(query: Query, outer: Scope): Scope {
  const scope = new Scope(outer.environment, outer)
  for (const name of columnsOf(query, outer)) scope.aliases.add(name.toLowerCase())
  return scope
}

function renderSelect(select: Select, outer: Scope): { sql: string; inner: Scope } {
  if (select.from === undefined) mustNeedNoRows(select)
  const scope = new Scope(outer.environment, outer)
  const render = (expr: Expr): string => renderExpr(expr, scope)
  const from = select.from === undefined ? '' : ` FROM ${renderFrom(select.from, scope)}`
  scope.prune(select.where, render)
  const own = scope.sources.flatMap(({ use }) => use ?? [])
  const where = select.where === undefined ? '' : ` WHERE ${render(select.where)}`
  const names = itemNames(select.items)
  const items = select.items.map((item, index) => renderItem(item, names[index] ?? '', scope))
  for (const name of names) scope.aliases.add(name.toLowerCase())
  const groups = select.groupBy.map(expr => (isOrdinal(expr) ? expr.text : render(expr)))
  const group = groups.length === 0 ? '' : ` GROUP BY ${groups.join(', ')}`
  const having = select.having === undefined ? '' : ` HAVING ${render(select.having)}`
  const qualify = select.qualify === undefined ? '' : ` QUALIFY ${render(select.qualify)}`
  for (const use of own) mustBeFiltered(use, scope.environment.catalogue.display(use.entry.id))
  const sql = `SELECT ${select.distinct ? 'DISTINCT ' : ''}${items.join(', ')}${from}${where}${group}${having}${qualify}`
  return { sql, inner: scope }
}

/** Without FROM there is one row, and nothing to count or to leave out. */
function mustNeedNoRows({ items, where, groupBy, having }: Select): void {
  const values = items.flatMap(item => (item.kind === 'value' ? [item.value] : []))
  if (items.length > values.length) throw invalidQuery('SELECT * must have a FROM clause')
  if (where !== undefined) throw invalidQuery('Query without FROM clause cannot have a WHERE clause')
  if (groupBy.length > 0 || having !== undefined || values.some(isAggregated)) {
    throw invalidQuery('SELECT without FROM clause cannot use aggregation')
  }
}

function renderItem(item: Item, name: string, scope: Scope): string {
  if (item.kind === 'value') return `${renderExpr(item.value, scope)} AS ${quote(name)}`
  for (const { alias, columns, use } of scope.sources) {
    if (item.of === undefined || alias.toLowerCase() === item.of.toLowerCase())
      for (const column of columns) use?.columns.add(column)
  }
  const of = item.of === undefined ? '' : `${quote(item.of)}.`
  return `${of}*${item.except.length === 0 ? '' : ` EXCLUDE (${item.except.map(quote).join(', ')})`}`
}

/** The names of the values of a select list; those without one get what the service gives them. */
function itemNames(items: readonly Item[]): string[] {
  let unnamed = 0
  return items.map(item => {
    if (item.kind === 'star') return ''
    return item.alias ?? (item.value.kind === 'name' ? (item.value.path.at(-1) ?? '') : `f${unnamed++}_`)
  })
}

/** Translates what comes after FROM, and makes its names known to the scope. */
export function renderFrom(from: From, scope: Scope): string {
  if (from.kind === 'join') {
    const left = renderFrom(from.left, scope)
    const right = renderFrom(from.right, scope)
    if (from.type === 'CROSS') return `${left}, ${right}`
    if (from.type === 'INNER') scope.prune(from.on, expr => renderExpr(expr, scope))
    const on = from.on === undefined ? `USING (${from.using.map(quote).join(', ')})` : `ON ${renderExpr(from.on, scope)}`
    return `(${left} ${from.type} JOIN ${right} ${on})`
  }
  const { source, sql } = renderSource(from, scope)
  if (scope.sources.some(({ alias }) => alias.toLowerCase() === source.alias.toLowerCase())) {
    throw invalidQuery(`Duplicate table alias ${source.alias} in the same FROM clause`)
  }
  scope.sources.push(source)
  return `${sql} AS ${quote(source.alias)}`
}

function renderSource(from: Exclude<From, { kind: 'join' }>, scope: Scope): { source: Source; sql: string } {
  const unnamed = `_source${scope.sources.length}`
  if (from.kind === 'query') {
    const sql = `(${renderQuery(from.query, scope)})`
    return { source: { alias: from.alias ?? unnamed, columns: columnsOf(from.query, scope) }, sql }
  }
  if (from.kind === 'table') {
    const [name = '', more] = from.path
    const columns = more === undefined ? scope.cte(name) : undefined
    if (columns !== undefined) return { source: { alias: from.alias, columns }, sql: quote(name) }
    const use = scope.table(from)
    return { source: { alias: from.alias, columns: use.entry.fields.map(field => field.name), use }, sql: readable(use) }
  }
  const { alias = unnamed, array, offset } = from
  const type = scope.typeOf(array)
  const element = type !== undefined && typeof type !== 'string' && 'array' in type ? type.array : undefined
  if (element === undefined) {
    throw invalidQuery(
      `UNNEST of this expression is not known to this local server at ${position(scope.environment.sql, from.at)}`,
    )
  }
  const struct = typeof element !== 'string' && 'struct' in element ? element.struct.map(({ name }) => name) : undefined
  const rendered = renderExpr(array, scope)
  const values = struct === undefined ? `unnest(${rendered}) AS ${quote(alias)}` : `unnest(${rendered}, max_depth := 2)`
  const counted = offset === undefined ? '' : `, unnest(range(len(${rendered}))) AS ${quote(offset)}`
  const columns = [...(struct ?? [alias]), ...(offset === undefined ? [] : [offset])]
  return { source: { alias, columns, element }, sql: `(SELECT ${values}${counted})` }
}

/** A table as queries read it: with what is in its streaming buffer. */
export function readable({ entry: { id, buffer } }: TableUse): string {
  return buffer === undefined ? tableName(id) : `(FROM ${tableName(id)} UNION ALL FROM ${bufferName(id)})`
}

/** The names of the columns of a query. */
export function columnsOf({ body }: Query, outer: Scope): string[] {
  if (body.kind === 'nested') return columnsOf(body.query, outer)
  if (body.kind === 'set') return columnsOf(body.left, outer)
  const names = itemNames(body.items)
  return body.items.flatMap((item, index) => {
    if (item.kind === 'value') return [names[index] ?? '']
    const scope = new Scope({ ...outer.environment, uses: [] }, outer)
    if (body.from !== undefined) renderFrom(body.from, scope)
    const of = scope.sources.filter(({ alias }) => item.of === undefined || alias.toLowerCase() === item.of.toLowerCase())
    return of.flatMap(({ columns }) => columns).filter(column => !item.except.includes(column))
  })
}

function isStruct({ body }: Query): boolean {
  return body.kind === 'select' ? body.asStruct : isStruct(body.kind === 'nested' ? body.query : body.left)
}

function isOrdinal(expr: Expr): expr is Extract<Expr, { kind: 'literal' }> {
  return expr.kind === 'literal' && expr.type === 'INT64'
}

/** A number that stands for a place in the select list, not for itself. */
function ordinal(text: string): Expr {
  return { kind: 'literal', type: 'FLOAT64', text }
}

function raw(expr: Expr): string | undefined {
  return expr.kind === 'literal' && expr.type === 'FLOAT64' ? expr.text : undefined
}
