import { invalidQuery } from '../errors.ts'
import { literal } from '../types.ts'
import type { Expr } from './ast.ts'
import { type Render, renderOrdering } from './functions.ts'
import type { Scope } from './scope.ts'

/** `TO_JSON_STRING`: structs and aggregated arrays are taken apart here, so that every value in them is written by its type. */
export function renderJson(expr: Expr | undefined, scope: Scope, render: Render): string {
  if (expr === undefined) throw invalidQuery('No matching signature for function TO_JSON_STRING')
  if (expr.kind === 'struct') {
    return object(expr.fields.map(({ name, value }) => [name, renderJson(value, scope, render)]))
  }
  if (expr.kind === 'call' && expr.name === 'ARRAY_AGG' && expr.over === undefined) {
    const [item] = expr.args
    const json = renderJson(item, scope, render)
    const order = expr.orderBy.length === 0 ? '' : ` ORDER BY ${expr.orderBy.map(one => renderOrdering(one, render)).join(', ')}`
    const all = `list(${expr.distinct ? 'DISTINCT ' : ''}${json}${order})`
    const some = expr.limit === undefined ? all : `(${all})[1:${render(expr.limit)}]`
    return `CASE WHEN count(*) = 0 THEN 'null' ELSE '[' || array_to_string(${some}, ',') || ']' END`
  }
  if (expr.kind === 'name' && expr.path.length === 1) {
    const [name = ''] = expr.path
    const source = scope.sources.find(
      ({ alias, columns }) => alias.toLowerCase() === name.toLowerCase() && !columns.includes(name),
    )
    if (source !== undefined) {
      return object(
        source.columns.map(column => {
          const { sql } = scope.resolve({ ...expr, path: [name, column] })
          return [column, `hr_json(${sql})`]
        }),
      )
    }
  }
  return `hr_json(${render(expr)})`
}

function object(fields: readonly (readonly [name: string, json: string])[]): string {
  const pairs = fields.map(([name, json], index) => `${literal(`${index === 0 ? '' : ','}${JSON.stringify(name)}:`)} || ${json}`)
  return `('{' || ${pairs.join(' || ')} || '}')`
}
