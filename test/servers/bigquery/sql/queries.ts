import type { Expr, From, Item, Query, Select, SetOperation } from './ast.ts'
import type { Cursor } from './cursor.ts'
import { ExpressionParser } from './expressions.ts'

/** Parses queries, and the tables and conditions of other statements. */
export class QueryParser {
  readonly #cursor: Cursor
  readonly expressions: ExpressionParser

  constructor(cursor: Cursor) {
    this.#cursor = cursor
    this.expressions = new ExpressionParser(cursor, () => this.query())
  }

  query(): Query {
    const cursor = this.#cursor
    const ctes: { name: string; query: Query }[] = []
    if (cursor.accept('WITH')) {
      if (cursor.is('RECURSIVE')) throw cursor.unknown('WITH RECURSIVE')
      ctes.push(
        ...cursor.separated(() => {
          const name = cursor.name()
          cursor.expect('AS')
          return { name, query: cursor.parenthesized(() => this.query()) }
        }),
      )
    }
    const body = this.#body()
    const orderBy = cursor.accept('ORDER', 'BY') ? this.expressions.orderings() : []
    const limit = cursor.accept('LIMIT') ? this.#expression() : undefined
    const offset = limit !== undefined && cursor.accept('OFFSET') ? this.#expression() : undefined
    return { ctes, body, orderBy, limit, offset }
  }

  #body(): Query['body'] {
    let left = this.#term()
    let first: SetOperation['op'] | undefined
    for (let op = this.#setOperator(); op !== undefined; op = this.#setOperator()) {
      // GoogleSQL wants parentheses around different operators.
      if (first !== undefined && first !== op) throw this.#cursor.unexpected(`${first} again, or parentheses`)
      first = op
      left = { kind: 'set', op, left: plain(left), right: plain(this.#term()) }
    }
    return left
  }

  #setOperator(): SetOperation['op'] | undefined {
    const cursor = this.#cursor
    for (const op of ['UNION ALL', 'UNION DISTINCT', 'EXCEPT DISTINCT', 'INTERSECT DISTINCT'] as const) {
      if (cursor.accept(...op.split(' '))) return op
    }
    if (cursor.is('UNION') || cursor.is('EXCEPT') || cursor.is('INTERSECT'))
      throw cursor.unexpected('UNION ALL, or DISTINCT after the operator')
    return undefined
  }

  #term(): Query['body'] {
    const cursor = this.#cursor
    if (cursor.is('(')) return { kind: 'nested', query: cursor.parenthesized(() => this.query()) }
    return this.#select()
  }

  #select(): Select {
    const cursor = this.#cursor
    cursor.expect('SELECT')
    const distinct = cursor.accept('DISTINCT')
    if (!distinct) cursor.accept('ALL')
    const asStruct = cursor.accept('AS', 'STRUCT')
    if (cursor.is('AS')) throw cursor.unknown('SELECT AS VALUE')
    const items = cursor.separated(() => this.#item())
    const from = cursor.accept('FROM') ? this.from() : undefined
    const where = cursor.accept('WHERE') ? this.#expression() : undefined
    const groupBy = cursor.accept('GROUP', 'BY') ? cursor.separated(() => this.#grouping()) : []
    const having = cursor.accept('HAVING') ? this.#expression() : undefined
    const qualify = cursor.accept('QUALIFY') ? this.#expression() : undefined
    if (cursor.is('WINDOW')) throw cursor.unknown('WINDOW')
    return { kind: 'select', distinct, asStruct, items, from, where, groupBy, having, qualify }
  }

  #grouping(): Expr {
    if (this.#cursor.is('ROLLUP') || this.#cursor.is('CUBE') || this.#cursor.is('GROUPING') || this.#cursor.is('ALL')) {
      throw this.#cursor.unknown('This form of GROUP BY')
    }
    return this.#expression()
  }

  #item(): Item {
    const cursor = this.#cursor
    const at = cursor.at
    if (cursor.accept('*')) return { kind: 'star', of: undefined, except: this.#except(), at }
    if (cursor.isName() && cursor.peek(1).text === '.' && cursor.peek(2).text === '*') {
      const of = cursor.name()
      cursor.expect('.', '*')
      return { kind: 'star', of, except: this.#except(), at }
    }
    const value = this.#expression()
    return { kind: 'value', value, alias: this.#alias() }
  }

  #except(): string[] {
    const cursor = this.#cursor
    if (cursor.is('REPLACE')) throw cursor.unknown('* REPLACE')
    return cursor.accept('EXCEPT') ? cursor.parenthesized(() => cursor.separated(() => cursor.name())) : []
  }

  #alias(): string | undefined {
    if (this.#cursor.accept('AS')) return this.#cursor.name()
    return this.#cursor.isName() ? this.#cursor.name() : undefined
  }

  /** What comes after `FROM`. */
  from(): From {
    const cursor = this.#cursor
    let left = this.#source()
    for (;;) {
      if (cursor.accept(',') || cursor.accept('CROSS', 'JOIN')) {
        left = { kind: 'join', type: 'CROSS', left, right: this.#source(), on: undefined, using: [] }
        continue
      }
      const type = this.#joinType()
      if (type === undefined) return left
      const right = this.#source()
      const on = cursor.accept('ON') ? this.#expression() : undefined
      const using =
        on === undefined && cursor.accept('USING') ? cursor.parenthesized(() => cursor.separated(() => cursor.name())) : []
      if (on === undefined && using.length === 0) throw cursor.unexpected('ON or USING')
      left = { kind: 'join', type, left, right, on, using }
    }
  }

  #joinType(): 'INNER' | 'LEFT' | 'RIGHT' | 'FULL' | undefined {
    const cursor = this.#cursor
    for (const type of ['LEFT', 'RIGHT', 'FULL'] as const) {
      if (!cursor.accept(type)) continue
      cursor.accept('OUTER')
      cursor.expect('JOIN')
      return type
    }
    return cursor.accept('INNER', 'JOIN') || cursor.accept('JOIN') ? 'INNER' : undefined
  }

  #source(): From {
    const cursor = this.#cursor
    const { at } = cursor
    if (cursor.accept('UNNEST')) {
      const array = cursor.parenthesized(() => this.#expression())
      const alias = this.#alias()
      const offset = cursor.accept('WITH', 'OFFSET') ? (this.#alias() ?? 'offset') : undefined
      return { kind: 'unnest', array, alias, offset, at }
    }
    if (cursor.is('(')) {
      const query = cursor.parenthesized(() => this.query())
      return { kind: 'query', query, alias: this.#alias() }
    }
    const { path, alias } = this.table()
    if (cursor.is('FOR') || cursor.is('TABLESAMPLE')) throw cursor.unknown(cursor.peek().text)
    return { kind: 'table', path, alias, at }
  }

  /** A table and what it is called from here on. */
  table(): { readonly path: readonly string[]; readonly alias: string; readonly at: number } {
    const { at } = this.#cursor
    const path = this.expressions.path()
    return { path, alias: this.#alias() ?? path.at(-1) ?? '', at }
  }

  #expression(): Expr {
    return this.expressions.expression()
  }
}

function plain(body: Query['body']): Query {
  return body.kind === 'nested' ? body.query : { ctes: [], body, orderBy: [], limit: undefined, offset: undefined }
}
