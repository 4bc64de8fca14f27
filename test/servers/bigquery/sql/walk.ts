import type { Expr } from './ast.ts'

/** The expressions directly inside an expression; what is inside its subqueries is not looked at. */
export function children(expr: Expr): readonly Expr[] {
  switch (expr.kind) {
    case 'literal':
    case 'name':
    case 'parameter':
    case 'rowCount':
    case 'subquery':
      return []
    case 'call':
      return [
        ...expr.args,
        ...expr.orderBy.map(({ by }) => by),
        ...(expr.over?.partitionBy ?? []),
        ...(expr.over?.orderBy ?? []).map(({ by }) => by),
        ...(expr.limit === undefined ? [] : [expr.limit]),
      ]
    case 'unary':
    case 'is':
      return [expr.operand]
    case 'binary':
      return [expr.left, expr.right]
    case 'between':
      return [expr.operand, expr.low, expr.high]
    case 'in':
      return [expr.operand, ...('list' in expr.among ? expr.among.list : 'unnest' in expr.among ? [expr.among.unnest] : [])]
    case 'case':
      return [
        ...(expr.operand === undefined ? [] : [expr.operand]),
        ...expr.whens.flat(),
        ...(expr.otherwise === undefined ? [] : [expr.otherwise]),
      ]
    case 'cast':
      return [expr.operand]
    case 'array':
      return expr.items
    case 'struct':
      return expr.fields.map(({ value }) => value)
    case 'extract':
      return [expr.from]
    case 'element':
      return [expr.array, expr.index]
  }
}

/** Whether an expression holds a subquery anywhere. */
export function hasSubquery(expr: Expr): boolean {
  if (expr.kind === 'subquery' || (expr.kind === 'in' && 'query' in expr.among)) return true
  return children(expr).some(hasSubquery)
}

const AGGREGATES = /^(COUNT|COUNTIF|SUM|MIN|MAX|AVG|ANY_VALUE|ARRAY_AGG|STRING_AGG|LOGICAL_AND|LOGICAL_OR)$/

/** Whether an expression aggregates the rows of its own query. */
export function isAggregated(expr: Expr): boolean {
  return (expr.kind === 'call' && AGGREGATES.test(expr.name)) || children(expr).some(isAggregated)
}

/** The names in an expression. */
export function namesIn(expr: Expr): Extract<Expr, { kind: 'name' }>[] {
  return expr.kind === 'name' ? [expr] : children(expr).flatMap(namesIn)
}

/** The parts of a condition that must all hold. */
export function conjuncts(expr: Expr | undefined): Expr[] {
  if (expr === undefined) return []
  return expr.kind === 'binary' && expr.op === 'AND' ? [...conjuncts(expr.left), ...conjuncts(expr.right)] : [expr]
}
