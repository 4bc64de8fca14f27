import type { Catalogue, TableEntry, TableId } from '../catalogue.ts'
import { ApiError, invalidQuery } from '../errors.ts'
import { literal, quote, type Type } from '../types.ts'
import type { Expr, Target } from './ast.ts'
import { position } from './tokens.ts'
import { conjuncts, hasSubquery, namesIn } from './walk.ts'

/** A table as one statement uses it. */
export interface TableUse {
  readonly entry: TableEntry
  readonly alias: string
  /** The columns it reads. */
  readonly columns: Set<string>
  /** Conditions, in DuckDB's SQL, that say which partitions it reads. */
  readonly pruning: string[]
}

/** Something after FROM: what it is called, and the names it brings. */
export interface Source {
  readonly alias: string
  readonly columns: readonly string[]
  readonly use?: TableUse
  /** What an UNNEST runs over. */
  readonly element?: Type
}

/** What every part of a statement may refer to. */
export interface Environment {
  readonly sql: string
  readonly project: string
  readonly catalogue: Catalogue
  /** Script variables and parameters by name, in lower case. */
  readonly variables: ReadonlyMap<string, Type>
  readonly parameters: ReadonlyMap<string, Type>
  readonly rowCount: number | undefined
  /** Every table the statement touches; grows while it is translated. */
  readonly uses: TableUse[]
}

/** What a name stands for. */
export interface Resolved {
  readonly sql: string
  /** The table, if the name is one of its columns. */
  readonly use?: TableUse | undefined
  readonly column?: string
  readonly type?: Type | undefined
  /** Whether it is the same for all rows. */
  readonly constant: boolean
}

type Name = Extract<Expr, { kind: 'name' }>

/** The names a part of a query can see: its own sources, and those of the queries around it. */
export class Scope {
  readonly environment: Environment
  readonly sources: Source[] = []
  /** What the select list calls its values; seen by the clauses after it. */
  readonly aliases = new Set<string>()
  readonly #outer: Scope | undefined
  readonly #ctes = new Map<string, readonly string[]>()

  constructor(environment: Environment, outer?: Scope) {
    this.environment = environment
    this.#outer = outer
  }

  addCte(name: string, columns: readonly string[]): void {
    this.#ctes.set(name.toLowerCase(), columns)
  }

  cte(name: string): readonly string[] | undefined {
    return this.#ctes.get(name.toLowerCase()) ?? this.#outer?.cte(name)
  }

  /** The table of a path; throws what the service says about one that is not there. */
  table({ path, alias, at }: Target): TableUse {
    const { project, catalogue, uses } = this.environment
    const id = tableIdOf(path, project, this.#place(at))
    const dataset = catalogue.datasets.find(one => one.id === id.dataset)
    const entry = dataset === undefined ? undefined : catalogue.find(id)
    if (dataset === undefined) {
      throw new ApiError(
        'notFound',
        `Not found: Dataset ${project}:${id.dataset} was not found in location ${catalogue.location}`,
      )
    }
    if (entry === undefined) {
      throw new ApiError('notFound', `Not found: Table ${catalogue.display(id)} was not found in location ${catalogue.location}`)
    }
    const use = { entry, alias, columns: new Set<string>(), pruning: [] }
    uses.push(use)
    return use
  }

  /** What a name stands for; throws if it stands for nothing. A column comes before a variable of the same name. */
  resolve(name: Name): Resolved {
    const { path, at } = name
    const [first = '', second] = path
    for (let scope: Scope | undefined = this; scope !== undefined; scope = scope.#outer) {
      const found = scope.#own(path, at)
      if (found !== undefined) return found
    }
    const variable = this.environment.variables.get(first.toLowerCase())
    if (variable === undefined) throw invalidQuery(`Unrecognized name: ${path.join('.')} at ${this.#place(at)}`)
    if (second === undefined) return { sql: variableName(first), type: variable, constant: true }
    const fields = path.slice(1).reduce((sql, field) => `struct_extract(${sql}, ${literal(field)})`, variableName(first))
    return { sql: fields, constant: true }
  }

  #own(path: readonly string[], at: number): Resolved | undefined {
    const [first = '', second] = path
    const sql = path.map(quote).join('.')
    const holders = this.sources.filter(({ columns }) => has(columns, first))
    if (holders.length > 0) {
      const [source] = holders
      return { ...this.#column(source, first, path.slice(1)), sql }
    }
    const source = this.sources.find(({ alias }) => alias.toLowerCase() === first.toLowerCase())
    if (source !== undefined) {
      if (second === undefined) {
        for (const column of source.columns) source.use?.columns.add(column)
        return { sql, constant: false, type: source.element }
      }
      if (!has(source.columns, second)) throw invalidQuery(`Name ${second} not found inside ${first} at ${this.#place(at)}`)
      return { ...this.#column(source, second, path.slice(2)), sql }
    }
    return this.aliases.has(first.toLowerCase()) ? { sql, constant: false } : undefined
  }

  #column(source: Source | undefined, column: string, fields: readonly string[]): Omit<Resolved, 'sql'> {
    const { element, use } = source ?? {}
    use?.columns.add(column)
    const whole = element === undefined || typeof element === 'string' ? element : fieldType(element, column)
    return { use, column, constant: false, type: fields.reduce<Type | undefined>((type, field) => fieldType(type, field), whole) }
  }

  #place(at: number): string {
    return position(this.environment.sql, at)
  }

  /** The type of an expression, as far as UNNEST must know it. */
  typeOf(expr: Expr): Type | undefined {
    if (expr.kind === 'parameter') return this.environment.parameters.get(expr.name.toLowerCase())
    if (expr.kind === 'name') return this.resolve(expr).type
    if (expr.kind === 'array') {
      const [first] = expr.items
      // Which scalar it is makes no difference here.
      if (first?.kind !== 'struct') return { array: 'STRING' }
      return { array: { struct: first.fields.map(({ name, value }) => ({ name, type: this.typeOf(value) ?? 'STRING' })) } }
    }
    if (expr.kind !== 'call') return undefined
    return {
      GENERATE_DATE_ARRAY: { array: 'DATE' as const },
      GENERATE_ARRAY: { array: 'INT64' as const },
      SPLIT: { array: 'STRING' as const },
    }[expr.name]
  }

  /**
   * Keeps, of a condition that must hold, what says which partitions of the tables are read: comparisons of the partition column with what
   * is the same for all rows.
   */
  prune(condition: Expr | undefined, render: (expr: Expr) => string): void {
    for (const part of conjuncts(condition)) {
      const use = this.#pruned(part)
      if (use !== undefined) use.pruning.push(render(part))
    }
  }

  #pruned(expr: Expr): TableUse | undefined {
    if (hasSubquery(expr)) return undefined
    if (expr.kind === 'binary' && (expr.op === 'OR' || expr.op === 'AND')) {
      const left = this.#pruned(expr.left)
      const right = this.#pruned(expr.right)
      return expr.op === 'AND' ? (left ?? right) : left === right ? left : undefined
    }
    if (expr.kind === 'binary' && ['=', '<', '<=', '>', '>='].includes(expr.op)) {
      return this.#compared(expr.left, [expr.right]) ?? this.#compared(expr.right, [expr.left])
    }
    if (expr.kind === 'between' && !expr.not) return this.#compared(expr.operand, [expr.low, expr.high])
    if (expr.kind !== 'in' || expr.not || 'query' in expr.among) return undefined
    return this.#compared(expr.operand, 'list' in expr.among ? expr.among.list : [expr.among.unnest])
  }

  #compared(column: Expr, others: readonly Expr[]): TableUse | undefined {
    if (column.kind !== 'name') return undefined
    const { use, column: name } = this.resolve(column)
    const field = use?.entry.partitioning?.field
    const constant = others.flatMap(namesIn).every(other => this.resolve(other).constant)
    return constant && field !== undefined && name?.toLowerCase() === field.toLowerCase() ? use : undefined
  }
}

/** Throws if a table wants a filter on its partitions and has none. */
export function mustBeFiltered({ entry, pruning }: TableUse, display: string): void {
  if (!entry.requirePartitionFilter || pruning.length > 0) return
  throw invalidQuery(
    `Cannot query over table '${display.replace(':', '.')}' without a filter over column(s) '${entry.partitioning?.field}' that can be used for partition elimination`,
  )
}

/** Where DuckDB keeps a script variable. */
export function variableName(name: string): string {
  return `getvariable(${literal(`v_${name.toLowerCase()}`)})`
}

/** Where DuckDB keeps a parameter. */
export function parameterName(name: string): string {
  return `getvariable(${literal(`p_${name.toLowerCase()}`)})`
}

/** The table a path names; a project in it must be the one of the server. */
export function tableIdOf(path: readonly string[], project: string, place: string): TableId {
  const [dataset = '', table = ''] = path.slice(-2)
  if (path.length < 2)
    throw invalidQuery(`Table "${path.join('.')}" must be qualified with a dataset (e.g. dataset.table) at ${place}`)
  if (path.length > 3 || (path.length === 3 && path[0] !== project)) {
    throw new ApiError(
      'accessDenied',
      `Access Denied: Table ${path.join('.')}: User does not have permission to query it, or it does not exist`,
    )
  }
  return { dataset, table }
}

function fieldType(type: Type | undefined, name: string): Type | undefined {
  if (type === undefined || typeof type === 'string' || !('struct' in type)) return undefined
  return type.struct.find(field => field.name.toLowerCase() === name.toLowerCase())?.type
}

function has(names: readonly string[], name: string): boolean {
  return names.some(one => one.toLowerCase() === name.toLowerCase())
}
