import type { Scalar, Type } from '../types.ts'

/** A place in the text of the script. */
export type At = number

/** A type as written; `BIGNUMERIC` is only known to casts. */
export type WrittenType = Type | 'BIGNUMERIC'

/** An expression. */
export type Expr =
  | { readonly kind: 'literal'; readonly type: Scalar | 'NULL'; readonly text: string }
  | { readonly kind: 'name'; readonly path: readonly string[]; readonly at: At }
  | { readonly kind: 'parameter'; readonly name: string; readonly at: At }
  | { readonly kind: 'rowCount' }
  | Call
  | { readonly kind: 'unary'; readonly op: '-' | 'NOT'; readonly operand: Expr }
  | { readonly kind: 'binary'; readonly op: string; readonly left: Expr; readonly right: Expr }
  | { readonly kind: 'is'; readonly operand: Expr; readonly what: 'NULL' | 'TRUE' | 'FALSE'; readonly not: boolean }
  | { readonly kind: 'between'; readonly operand: Expr; readonly low: Expr; readonly high: Expr; readonly not: boolean }
  | { readonly kind: 'in'; readonly operand: Expr; readonly among: Among; readonly not: boolean }
  | {
      readonly kind: 'case'
      readonly operand: Expr | undefined
      readonly whens: readonly (readonly [when: Expr, then: Expr])[]
      readonly otherwise: Expr | undefined
    }
  | { readonly kind: 'cast'; readonly operand: Expr; readonly type: WrittenType; readonly safe: boolean }
  | { readonly kind: 'array'; readonly items: readonly Expr[] }
  | { readonly kind: 'struct'; readonly fields: readonly StructField[] }
  | { readonly kind: 'subquery'; readonly how: 'scalar' | 'exists' | 'array'; readonly query: Query }
  | { readonly kind: 'extract'; readonly part: string; readonly from: Expr }
  | { readonly kind: 'element'; readonly array: Expr; readonly index: Expr; readonly safe: boolean; readonly base: 0 | 1 }

/** A call of a function or an aggregate. */
export interface Call {
  readonly kind: 'call'
  readonly name: string
  readonly args: readonly Expr[]
  readonly star: boolean
  readonly distinct: boolean
  readonly ignoreNulls: boolean
  readonly orderBy: readonly Ordering[]
  readonly limit: Expr | undefined
  readonly over: { readonly partitionBy: readonly Expr[]; readonly orderBy: readonly Ordering[] } | undefined
  /** What comes after the value in `DATE_ADD(d, INTERVAL n DAY)`, or the part in `DATE_TRUNC(d, MONTH)`. */
  readonly part: string | undefined
  readonly at: At
}

/** One field of `STRUCT(..)`. */
export interface StructField {
  readonly name: string
  readonly value: Expr
}

/** What an `IN` looks into. */
export type Among = { readonly list: readonly Expr[] } | { readonly query: Query } | { readonly unnest: Expr }

/** One key of an `ORDER BY`. */
export interface Ordering {
  readonly by: Expr
  readonly descending: boolean
  readonly nulls: 'FIRST' | 'LAST' | undefined
}

/** A query: its body, and what is done with the rows of it. */
export interface Query {
  readonly ctes: readonly { readonly name: string; readonly query: Query }[]
  readonly body: Select | SetOperation | { readonly kind: 'nested'; readonly query: Query }
  readonly orderBy: readonly Ordering[]
  readonly limit: Expr | undefined
  readonly offset: Expr | undefined
}

/** Two queries as one. */
export interface SetOperation {
  readonly kind: 'set'
  readonly op: 'UNION ALL' | 'UNION DISTINCT' | 'EXCEPT DISTINCT' | 'INTERSECT DISTINCT'
  readonly left: Query
  readonly right: Query
}

/** A plain `SELECT`. */
export interface Select {
  readonly kind: 'select'
  readonly distinct: boolean
  readonly asStruct: boolean
  readonly items: readonly Item[]
  readonly from: From | undefined
  readonly where: Expr | undefined
  readonly groupBy: readonly Expr[]
  readonly having: Expr | undefined
  readonly qualify: Expr | undefined
}

/** What a `SELECT` lists. */
export type Item =
  | { readonly kind: 'value'; readonly value: Expr; readonly alias: string | undefined }
  | { readonly kind: 'star'; readonly of: string | undefined; readonly except: readonly string[]; readonly at: At }

/** Where rows come from. */
export type From =
  | { readonly kind: 'table'; readonly path: readonly string[]; readonly alias: string; readonly at: At }
  | { readonly kind: 'query'; readonly query: Query; readonly alias: string | undefined }
  | {
      readonly kind: 'unnest'
      readonly array: Expr
      readonly alias: string | undefined
      readonly offset: string | undefined
      readonly at: At
    }
  | {
      readonly kind: 'join'
      readonly type: 'INNER' | 'LEFT' | 'RIGHT' | 'FULL' | 'CROSS'
      readonly left: From
      readonly right: From
      readonly on: Expr | undefined
      readonly using: readonly string[]
    }

/** A table that a statement changes. */
export interface Target {
  readonly path: readonly string[]
  readonly alias: string
  readonly at: At
}

/** A column and the value it gets. */
export type Assignment = readonly [column: string, value: Expr]

/** What happens to rows of a `MERGE`. */
export type MergeClause =
  | { readonly when: 'matched'; readonly and: Expr | undefined; readonly set: readonly Assignment[] | 'DELETE' }
  | {
      readonly when: 'unmatched'
      readonly and: Expr | undefined
      readonly columns: readonly string[]
      readonly values: readonly Expr[]
    }

/** A column of `CREATE TABLE`. */
export interface ColumnDefinition {
  readonly name: string
  readonly type: Scalar
  readonly required: boolean
}

/** What a statement does. */
export type Action =
  | {
      readonly kind: 'DECLARE'
      readonly names: readonly string[]
      readonly type: Type | undefined
      readonly value: Expr | undefined
    }
  | { readonly kind: 'SET'; readonly names: readonly string[]; readonly value: Expr }
  | {
      readonly kind: 'IF'
      readonly branches: readonly { readonly condition: Expr; readonly text: string; readonly body: readonly Statement[] }[]
      readonly otherwise: readonly Statement[]
    }
  | { readonly kind: 'RAISE'; readonly message: Expr }
  | { readonly kind: 'ASSERT'; readonly condition: Expr; readonly message: string | undefined }
  | { readonly kind: 'BEGIN_TRANSACTION' | 'COMMIT_TRANSACTION' | 'ROLLBACK_TRANSACTION' }
  | { readonly kind: 'SELECT'; readonly query: Query }
  | {
      readonly kind: 'INSERT'
      readonly target: Target
      readonly columns: readonly string[]
      readonly source: Query | readonly (readonly Expr[])[]
    }
  | { readonly kind: 'DELETE'; readonly target: Target; readonly where: Expr }
  | {
      readonly kind: 'UPDATE'
      readonly target: Target
      readonly set: readonly Assignment[]
      readonly from: From | undefined
      readonly where: Expr
    }
  | {
      readonly kind: 'MERGE'
      readonly target: Target
      readonly source: From
      readonly on: Expr
      readonly clauses: readonly MergeClause[]
    }
  | { readonly kind: 'TRUNCATE_TABLE'; readonly target: Target }
  | {
      readonly kind: 'CREATE_TABLE'
      readonly target: Target
      readonly unless: boolean
      readonly columns: readonly ColumnDefinition[]
      readonly partition: { readonly field: string; readonly type: 'DAY' | 'MONTH' | 'YEAR' } | undefined
      readonly cluster: readonly string[]
      readonly options: Readonly<Record<string, Expr>>
    }
  | { readonly kind: 'DROP_TABLE'; readonly target: Target; readonly unless: boolean }
  | { readonly kind: 'ALTER_TABLE'; readonly target: Target; readonly add: readonly ColumnDefinition[]; readonly unless: boolean }

/** A statement, and where it stands. */
export interface Statement {
  readonly action: Action
  readonly at: At
  /** As written. */
  readonly text: string
}
