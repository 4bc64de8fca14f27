import type { Chunk } from './chunk.ts'
import type { EpochUnit } from './convert.ts'
import type { Column, Columns, ColumnsOf, ColumnType } from './table.ts'

/** How a value is converted; the names of the vocabulary below. */
export type Operation =
  | 'text'
  | 'integer'
  | 'decimal'
  | 'micros'
  | 'float'
  | 'boolean'
  | 'day'
  | 'timestamp'
  | 'json'
  | 'constant'
  | 'client'
  | 'custom'

/**
 * Where a column's value comes from and how it is converted: a declaration, so that it can be checked by the compiler, compiled, and
 * printed. `P` is the path it reads, `T` the column type it makes, `N` whether it may make null, `R` the record a custom one takes.
 */
export interface Expr<P extends string = string, T extends ColumnType = ColumnType, N extends boolean = boolean, R = unknown> {
  readonly operation: Operation
  /** Dotted path into the record; absent when no single field is read. */
  readonly path?: P
  readonly type: T
  readonly nullable: N
  readonly unit?: EpochUnit
  readonly value?: string | number | boolean
  readonly fn?: (record: R, chunk: Chunk) => unknown
  readonly why?: string
}

type Scalar = string | number | boolean | bigint
type Leaf = Scalar | null | undefined

type Reaches<V, W> = unknown extends V ? true : NonNullable<V> extends W ? true : false

/**
 * Every dotted path into a record type whose value is a `W`. Arrays are entered by index (`values.0.id`). A field of type `unknown`
 * counts as anything; paths end at the sixth level.
 */
export type Path<R, W = unknown, Depth extends 0[] = []> = Depth['length'] extends 6
  ? never
  : R extends readonly (infer E)[]
    ? (Reaches<E, W> extends true ? `${number}` : never) | (E extends Leaf ? never : `${number}.${Path<E, W, [...Depth, 0]>}`)
    : R extends object
      ? {
          [K in keyof R & string]:
            | (Reaches<R[K], W> extends true ? K : never)
            | (R[K] extends Leaf ? never : `${K}.${Path<NonNullable<R[K]>, W, [...Depth, 0]>}`)
        }[keyof R & string]
      : never

/** The expressions that may fill column `C` from records of type `R`. */
export type ExprFor<R, C extends Column> = Expr<
  C['type'] extends 'JSON' ? Path<R> : Path<R, Scalar>,
  C['type'],
  C['nullable'] extends false ? false : boolean,
  R
>

/** One expression for every column of the table, and no other. */
export type Mapping<R, C extends Columns> = { readonly [K in keyof C]: ExprFor<R, C[K]> }

/** One expression for each column that a source states a total of; `S` is how it states them. */
export type TotalsMapping<S, C extends Columns> = {
  readonly [K in ColumnsOf<C, 'INT64' | 'NUMERIC'>]?: ExprFor<S, C[K]>
}

/** Text as it is; numbers and booleans as their usual text. */
export function text<const P extends string>(path: P): Expr<P, 'STRING', false> {
  return { operation: 'text', path, type: 'STRING', nullable: false }
}
/** A whole number, from a JSON number that is still exact or from decimal text. */
export function integer<const P extends string>(path: P): Expr<P, 'INT64', false> {
  return { operation: 'integer', path, type: 'INT64', nullable: false }
}
/** An exact decimal, from text or from a JSON number of at most 15 digits. */
export function decimal<const P extends string>(path: P): Expr<P, 'NUMERIC', false> {
  return { operation: 'decimal', path, type: 'NUMERIC', nullable: false }
}
/** Millionths, as ad APIs count money: `5230000` becomes the decimal `5.23`. */
export function micros<const P extends string>(path: P): Expr<P, 'NUMERIC', false> {
  return { operation: 'micros', path, type: 'NUMERIC', nullable: false }
}
/** A finite double. */
export function float<const P extends string>(path: P): Expr<P, 'FLOAT64', false> {
  return { operation: 'float', path, type: 'FLOAT64', nullable: false }
}
/** A JSON boolean, `"true"`, `"false"`, 1 or 0. */
export function boolean<const P extends string>(path: P): Expr<P, 'BOOL', false> {
  return { operation: 'boolean', path, type: 'BOOL', nullable: false }
}
/** A day, written `YYYY-MM-DD` or `YYYYMMDD`. */
export function day<const P extends string>(path: P): Expr<P, 'DATE', false> {
  return { operation: 'day', path, type: 'DATE', nullable: false }
}
/** An instant: ISO 8601 with an offset or, when a unit is given, a count of that unit since 1970. */
export function timestamp<const P extends string>(path: P, unit?: EpochUnit): Expr<P, 'TIMESTAMP', false> {
  return { operation: 'timestamp', path, type: 'TIMESTAMP', nullable: false, ...(unit === undefined ? {} : { unit }) }
}
/** Whatever is there, kept as JSON. */
export function json<const P extends string>(path: P): Expr<P, 'JSON', false> {
  return { operation: 'json', path, type: 'JSON', nullable: false }
}

type ConstantType<V> = V extends string ? 'STRING' : V extends number ? 'INT64' : 'BOOL'

/** The same value in every row: text, a whole number, or a boolean. */
export function constant<const V extends string | number | boolean>(value: V): Expr<never, ConstantType<V>, false>
export function constant(value: string | number | boolean): Expr<never, 'STRING' | 'INT64' | 'BOOL', false> {
  const type = typeof value === 'string' ? 'STRING' : typeof value === 'number' ? 'INT64' : 'BOOL'
  return { operation: 'constant', value, type, nullable: false }
}

/** The client of the chunk. With a path, the record's own client, which must be the same one or the row is rejected. */
export function client(): Expr<never, 'STRING', false>
export function client<const P extends string>(path: P): Expr<P, 'STRING', false>
export function client(path?: string): Expr<string, 'STRING', false> {
  return { operation: 'client', type: 'STRING', nullable: false, ...(path === undefined ? {} : { path }) }
}

/** The same expression, giving null where the field is absent or null. */
export function optional<P extends string, T extends ColumnType, R>(of: Expr<P, T, boolean, R>): Expr<P, T, true, R> {
  return { ...of, nullable: true }
}

/**
 * The way out: any function of the record, with the reason why no other expression would do. What it returns is converted like
 * any other value of the type; when it throws, the row is rejected by the rule `custom`. Inside `definePipeline` name the type of the record,
 * `(record: Order) => …`: the compiler checks it against the connector, but does not infer it there.
 */
export function custom<R, const T extends ColumnType>(
  type: T,
  fn: (record: R, chunk: Chunk) => unknown,
  why: string,
): Expr<never, T, false, R> {
  return { operation: 'custom', type, nullable: false, fn, why }
}

/** One sentence on where a column's value comes from, for `headrace describe` and the docs. */
export function describe(expr: Expr<string, ColumnType, boolean, never>): string {
  const { operation, path, unit, value, why } = expr
  switch (operation) {
    case 'client':
      return path === undefined ? 'the client of the chunk' : `\`${path}\`, must be the client of the chunk`
    case 'constant':
      return `always ${JSON.stringify(value)}`
    case 'custom':
      return `custom: ${why}`
    case 'micros':
      return `\`${path}\` / 1,000,000, exact`
    case 'timestamp':
      return unit === undefined ? `\`${path}\` as an instant` : `\`${path}\`, ${unit} since 1970, as an instant`
    default:
      return `\`${path}\` as ${operation}`
  }
}
