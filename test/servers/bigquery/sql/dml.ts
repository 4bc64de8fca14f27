import { bufferName, tableName } from '../catalogue.ts'
import { invalidQuery } from '../errors.ts'
import { quote } from '../types.ts'
import type { Action, Assignment, Expr } from './ast.ts'
import { renderExpr, renderFrom, renderQuery } from './render.ts'
import { type Environment, mustBeFiltered, Scope, type TableUse } from './scope.ts'
import { conjuncts, hasSubquery, namesIn } from './walk.ts'

/** A DML statement in DuckDB's SQL. */
export interface Dml {
  readonly kind: 'INSERT' | 'DELETE' | 'UPDATE' | 'MERGE' | 'TRUNCATE_TABLE'
  readonly sql: string
  readonly target: TableUse
  /** A condition that holds for the rows of the target which may change; undefined if it only adds rows. */
  readonly changes: string | undefined
  /** Whether it removes whole partitions, and says so by their column alone; that is free. */
  readonly wholePartitions: boolean
  /** A query that has a row when one row of the target meets several of the source. */
  readonly ambiguous: string | undefined
  /** A query that counts rows of the streaming buffer that would change. */
  readonly buffered: string | undefined
}

type DmlAction = Extract<Action, { kind: Dml['kind'] }>

/** Whether a statement is DML. */
export function isDml(action: Action): action is DmlAction {
  return ['INSERT', 'DELETE', 'UPDATE', 'MERGE', 'TRUNCATE_TABLE'].includes(action.kind)
}

const NOTHING = { changes: undefined, wholePartitions: false, ambiguous: undefined, buffered: undefined }

/** Translates a DML statement. */
export function renderDml(action: DmlAction, environment: Environment): Dml {
  const scope = new Scope(environment)
  const target = scope.table(action.target)
  scope.sources.push({ alias: action.target.alias, columns: target.entry.fields.map(({ name }) => name), use: target })
  const table = tableName(target.entry.id)
  const named = `${table} AS ${quote(action.target.alias)}`
  const buffer = target.entry.buffer === undefined ? undefined : `${bufferName(target.entry.id)} AS ${quote(action.target.alias)}`
  const counted = (more: string, condition: string): string | undefined =>
    buffer === undefined ? undefined : `SELECT count(*) AS n FROM ${buffer}${more} WHERE ${condition}`
  switch (action.kind) {
    case 'INSERT':
      return { ...NOTHING, kind: 'INSERT', target, sql: `INSERT INTO ${table} ${renderInsert(action, target, environment)}` }
    case 'TRUNCATE_TABLE':
      return {
        kind: 'TRUNCATE_TABLE',
        target,
        sql: `DELETE FROM ${table}`,
        changes: 'true',
        wholePartitions: true,
        ambiguous: undefined,
        buffered: counted('', 'true'),
      }
    case 'DELETE': {
      const where = condition(action.where, scope, [target])
      const wholePartitions = isOfPartitions(action.where, target)
      return {
        kind: 'DELETE',
        target,
        sql: `DELETE FROM ${named} WHERE ${where}`,
        changes: where,
        wholePartitions,
        ambiguous: undefined,
        buffered: counted('', where),
      }
    }
    case 'UPDATE': {
      const from = action.from === undefined ? '' : renderFrom(action.from, scope)
      const where = condition(
        action.where,
        scope,
        scope.sources.flatMap(({ use }) => use ?? []),
      )
      const changes = from === '' ? where : `EXISTS (SELECT 1 FROM ${from} WHERE ${where})`
      return {
        kind: 'UPDATE',
        target,
        sql: `UPDATE ${named} SET ${assignments(action.set, target, scope)}${from === '' ? '' : ` FROM ${from}`} WHERE ${where}`,
        changes,
        wholePartitions: false,
        ambiguous: from === '' ? undefined : severalMatches(named, action.target.alias, `, ${from} WHERE ${where}`),
        buffered: counted('', changes),
      }
    }
    case 'MERGE':
      return renderMerge(action, target, scope, named, counted)
  }
}

function renderInsert(action: Extract<Action, { kind: 'INSERT' }>, target: TableUse, environment: Environment): string {
  const { columns, source } = action
  mustHave(columns, target)
  const names = `(${columns.map(quote).join(', ')})`
  // The target is not among what a source of an INSERT can name.
  const plain = new Scope(environment)
  if ('body' in source) return `${names} ${renderQuery(source, undefined, environment)}`
  for (const row of source)
    if (row.length !== columns.length)
      throw invalidQuery(`Inserted row has wrong column count; Has ${row.length}, expected ${columns.length}`)
  return `${names} VALUES ${source.map(row => `(${row.map(value => renderExpr(value, plain)).join(', ')})`).join(', ')}`
}

function renderMerge(
  action: Extract<Action, { kind: 'MERGE' }>,
  target: TableUse,
  scope: Scope,
  named: string,
  counted: (more: string, condition: string) => string | undefined,
): Dml {
  const source = renderFrom(action.source, scope)
  const on = condition(action.on, scope, [target])
  let matches = false
  const clauses = action.clauses.map(clause => {
    const and = clause.and === undefined ? '' : ` AND ${renderExpr(clause.and, scope)}`
    if (clause.when === 'matched') {
      matches = true
      return `WHEN MATCHED${and} THEN ${clause.set === 'DELETE' ? 'DELETE' : `UPDATE SET ${assignments(clause.set, target, scope)}`}`
    }
    mustHave(clause.columns, target)
    const values = clause.values.map(value => renderExpr(value, scope))
    return `WHEN NOT MATCHED${and} THEN INSERT (${clause.columns.map(quote).join(', ')}) VALUES (${values.join(', ')})`
  })
  const changes = matches ? `EXISTS (SELECT 1 FROM ${source} WHERE ${on})` : undefined
  return {
    kind: 'MERGE',
    target,
    sql: `MERGE INTO ${named} USING ${source} ON ${on} ${clauses.join(' ')} RETURNING merge_action`,
    changes,
    wholePartitions: false,
    ambiguous: matches ? severalMatches(named, action.target.alias, `, ${source} WHERE ${on}`) : undefined,
    buffered: changes === undefined ? undefined : counted('', changes),
  }
}

function severalMatches(named: string, alias: string, rest: string): string {
  return `SELECT 1 FROM ${named}${rest} GROUP BY ${quote(alias)}.rowid HAVING count(*) > 1 LIMIT 1`
}

function condition(expr: Expr, scope: Scope, uses: readonly TableUse[]): string {
  scope.prune(expr, part => renderExpr(part, scope))
  for (const use of uses) mustBeFiltered(use, scope.environment.catalogue.display(use.entry.id))
  return renderExpr(expr, scope)
}

function assignments(set: readonly Assignment[], target: TableUse, scope: Scope): string {
  mustHave(
    set.map(([column]) => column),
    target,
  )
  return set.map(([column, value]) => `${quote(column)} = ${renderExpr(value, scope)}`).join(', ')
}

function mustHave(columns: readonly string[], { entry }: TableUse): void {
  const seen = new Set<string>()
  for (const column of columns) {
    if (!entry.fields.some(({ name }) => name.toLowerCase() === column.toLowerCase()))
      throw invalidQuery(`Column ${column} is not present in table ${entry.id.table}`)
    if (seen.has(column.toLowerCase())) throw invalidQuery(`Column ${column} appears more than once`)
    seen.add(column.toLowerCase())
  }
}

function isOfPartitions(where: Expr, { entry }: TableUse): boolean {
  const field = entry.partitioning?.field.toLowerCase()
  return conjuncts(where).every(
    part => !hasSubquery(part) && namesIn(part).every(({ path }) => path.at(-1)?.toLowerCase() === field),
  )
}
