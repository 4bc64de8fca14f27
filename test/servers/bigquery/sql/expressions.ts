import { scalar, type Type } from '../types.ts'
import type { Among, Call, Expr, Ordering, Query, StructField, WrittenType } from './ast.ts'
import type { Cursor } from './cursor.ts'

/** Parses expressions; what a query is, it is told. */
export class ExpressionParser {
  readonly #cursor: Cursor
  readonly #query: () => Query

  constructor(cursor: Cursor, query: () => Query) {
    this.#cursor = cursor
    this.#query = query
  }

  expression(): Expr {
    let left = this.#conjunction()
    while (this.#cursor.accept('OR')) left = { kind: 'binary', op: 'OR', left, right: this.#conjunction() }
    return left
  }

  #conjunction(): Expr {
    let left = this.#negation()
    while (this.#cursor.accept('AND')) left = { kind: 'binary', op: 'AND', left, right: this.#negation() }
    return left
  }

  #negation(): Expr {
    return this.#cursor.accept('NOT') ? { kind: 'unary', op: 'NOT', operand: this.#negation() } : this.#comparison()
  }

  #comparison(): Expr {
    const cursor = this.#cursor
    const operand = this.#sum()
    for (const op of ['=', '!=', '<>', '<=', '>=', '<', '>']) {
      if (cursor.accept(op)) return { kind: 'binary', op: op === '<>' ? '!=' : op, left: operand, right: this.#sum() }
    }
    if (cursor.accept('IS')) return this.#is(operand)
    const not = cursor.accept('NOT')
    if (cursor.accept('BETWEEN')) {
      const low = this.#sum()
      cursor.expect('AND')
      return { kind: 'between', operand, low, high: this.#sum(), not }
    }
    if (cursor.accept('IN')) return { kind: 'in', operand, among: this.#among(), not }
    if (cursor.accept('LIKE')) return { kind: 'binary', op: not ? 'NOT LIKE' : 'LIKE', left: operand, right: this.#sum() }
    if (not) throw cursor.unexpected('BETWEEN, IN or LIKE')
    return operand
  }

  #is(operand: Expr): Expr {
    const cursor = this.#cursor
    const not = cursor.accept('NOT')
    if (cursor.accept('DISTINCT')) {
      cursor.expect('FROM')
      return { kind: 'binary', op: not ? 'IS NOT DISTINCT FROM' : 'IS DISTINCT FROM', left: operand, right: this.#sum() }
    }
    for (const what of ['NULL', 'TRUE', 'FALSE'] as const) if (cursor.accept(what)) return { kind: 'is', operand, what, not }
    throw cursor.unexpected('NULL, TRUE, FALSE or DISTINCT FROM')
  }

  #among(): Among {
    const cursor = this.#cursor
    if (cursor.accept('UNNEST')) return { unnest: cursor.parenthesized(() => this.expression()) }
    return cursor.parenthesized(() =>
      this.#isQuery() ? { query: this.#query() } : { list: cursor.separated(() => this.expression()) },
    )
  }

  #sum(): Expr {
    let left = this.#product()
    for (;;) {
      const op = ['+', '-', '||'].find(symbol => this.#cursor.accept(symbol))
      if (op === undefined) return left
      left = { kind: 'binary', op, left, right: this.#product() }
    }
  }

  #product(): Expr {
    let left = this.#unary()
    for (;;) {
      const op = ['*', '/'].find(symbol => this.#cursor.accept(symbol))
      if (op === undefined) return left
      left = { kind: 'binary', op, left, right: this.#unary() }
    }
  }

  #unary(): Expr {
    if (this.#cursor.accept('-')) return { kind: 'unary', op: '-', operand: this.#unary() }
    let base = this.#primary()
    while (this.#cursor.accept('[')) {
      const mode = this.#cursor.take().text.toUpperCase()
      const [, safe, kind] = /^(SAFE_)?(OFFSET|ORDINAL)$/.exec(mode) ?? []
      if (kind === undefined) throw this.#cursor.unknown(`[${mode}`)
      const index = this.#cursor.parenthesized(() => this.expression())
      this.#cursor.expect(']')
      base = { kind: 'element', array: base, index, safe: safe !== undefined, base: kind === 'OFFSET' ? 0 : 1 }
    }
    return base
  }

  #primary(): Expr {
    const cursor = this.#cursor
    const { kind, text, start: at } = cursor.peek()
    if (kind === 'string') return { kind: 'literal', type: 'STRING', text: cursor.take().text }
    if (kind === 'number') return { kind: 'literal', type: /^\d+$/.test(text) ? 'INT64' : 'FLOAT64', text: cursor.take().text }
    if (kind === 'parameter') return { kind: 'parameter', name: cursor.take().text, at }
    if (kind === 'system') {
      if (text.toLowerCase() !== 'row_count') throw cursor.unknown(`@@${text}`)
      cursor.take()
      return { kind: 'rowCount' }
    }
    if (cursor.is('(')) return this.#parenthesized()
    if (cursor.accept('[')) return { kind: 'array', items: this.#items() }
    for (const constant of ['NULL', 'TRUE', 'FALSE'] as const) {
      if (cursor.accept(constant)) return { kind: 'literal', type: constant === 'NULL' ? 'NULL' : 'BOOL', text: constant }
    }
    if (cursor.accept('CASE')) return this.#case()
    if (cursor.accept('EXISTS')) return { kind: 'subquery', how: 'exists', query: cursor.parenthesized(this.#query) }
    if (cursor.is('ARRAY', '(')) {
      cursor.take()
      return { kind: 'subquery', how: 'array', query: cursor.parenthesized(this.#query) }
    }
    if (cursor.accept('STRUCT')) return this.#struct()
    for (const cast of ['CAST', 'SAFE_CAST']) if (cursor.is(cast, '(')) return this.#cast(cast === 'SAFE_CAST')
    if (cursor.accept('EXTRACT')) return this.#extract()
    if (cursor.accept('IF')) return this.#callOf('IF', at)
    if (kind === 'word' && cursor.peek(1).kind === 'string') return this.#typedLiteral()
    if (kind === 'word' && cursor.is(text.toUpperCase(), '(') && (cursor.isName() || /^(left|right)$/i.test(text))) {
      cursor.take()
      return this.#callOf(text.toUpperCase(), at)
    }
    if (!cursor.isName()) throw cursor.unexpected('an expression')
    return { kind: 'name', path: this.path(), at }
  }

  /** A dotted path; what is in one pair of backticks may be dotted too. */
  path(): string[] {
    const cursor = this.#cursor
    const parts = cursor.peek().kind === 'quoted' ? cursor.take().text.split('.') : [cursor.name()]
    while (cursor.accept('.')) parts.push(cursor.part())
    return parts
  }

  #isQuery(): boolean {
    let ahead = 0
    while (this.#cursor.peek(ahead).text === '(') ahead++
    return /^(select|with)$/i.test(this.#cursor.peek(ahead).text)
  }

  #parenthesized(): Expr {
    return this.#cursor.parenthesized(() => {
      if (this.#isQuery()) return { kind: 'subquery', how: 'scalar', query: this.#query() }
      const value = this.expression()
      if (this.#cursor.is(',')) throw this.#cursor.unknown('A tuple')
      return value
    })
  }

  #items(): Expr[] {
    if (this.#cursor.accept(']')) return []
    const items = this.#cursor.separated(() => this.expression())
    this.#cursor.expect(']')
    return items
  }

  #case(): Expr {
    const cursor = this.#cursor
    const operand = cursor.is('WHEN') ? undefined : this.expression()
    const whens: [Expr, Expr][] = []
    while (cursor.accept('WHEN')) {
      const when = this.expression()
      cursor.expect('THEN')
      whens.push([when, this.expression()])
    }
    const otherwise = cursor.accept('ELSE') ? this.expression() : undefined
    cursor.expect('END')
    return { kind: 'case', operand, whens, otherwise }
  }

  #struct(): Expr {
    const cursor = this.#cursor
    if (cursor.is('<')) throw cursor.unknown('A typed STRUCT')
    let unnamed = 0
    const field = (): StructField => {
      const value = this.expression()
      const last = value.kind === 'name' ? value.path.at(-1) : undefined
      return { name: cursor.accept('AS') ? cursor.name() : (last ?? `_field_${++unnamed}`), value }
    }
    return { kind: 'struct', fields: cursor.parenthesized(() => cursor.separated(field)) }
  }

  #cast(safe: boolean): Expr {
    this.#cursor.take()
    return this.#cursor.parenthesized(() => {
      const operand = this.expression()
      this.#cursor.expect('AS')
      const type = this.writtenType()
      if (this.#cursor.is('FORMAT')) throw this.#cursor.unknown('CAST with FORMAT')
      return { kind: 'cast', operand, type, safe }
    })
  }

  #extract(): Expr {
    return this.#cursor.parenthesized(() => {
      const part = this.#cursor.part().toUpperCase()
      this.#cursor.expect('FROM')
      return { kind: 'extract', part, from: this.expression() }
    })
  }

  #typedLiteral(): Expr {
    const type = scalar(this.#cursor.peek().text)
    if (type === undefined || type === 'STRING' || type === 'BYTES')
      throw this.#cursor.unknown(`A literal of ${this.#cursor.peek().text}`)
    this.#cursor.take()
    return { kind: 'literal', type, text: this.#cursor.take().text }
  }

  #callOf(name: string, at: number): Call {
    const cursor = this.#cursor
    cursor.expect('(')
    const star = cursor.accept('*')
    const distinct = cursor.accept('DISTINCT')
    const args: Expr[] = []
    let part: string | undefined
    while (!star && !cursor.is(')')) {
      if (cursor.accept('INTERVAL')) {
        args.push(this.#sum())
        part = cursor.part().toUpperCase()
      } else if (/^(DATE|TIMESTAMP)_(TRUNC|DIFF)$/.test(name) && args.length === (name.endsWith('TRUNC') ? 1 : 2)) {
        part = cursor.part().toUpperCase()
      } else {
        args.push(this.expression())
      }
      if (!cursor.accept(',')) break
    }
    const ignoreNulls = cursor.accept('IGNORE', 'NULLS')
    const orderBy = cursor.accept('ORDER', 'BY') ? this.orderings() : []
    const limit = cursor.accept('LIMIT') ? this.expression() : undefined
    cursor.expect(')')
    return { kind: 'call', name, args, star, distinct, ignoreNulls, orderBy, limit, over: this.#over(), part, at }
  }

  #over(): Call['over'] {
    const cursor = this.#cursor
    if (!cursor.accept('OVER')) return undefined
    return cursor.parenthesized(() => {
      const partitionBy = cursor.accept('PARTITION', 'BY') ? cursor.separated(() => this.expression()) : []
      const orderBy = cursor.accept('ORDER', 'BY') ? this.orderings() : []
      if (!cursor.is(')')) throw cursor.unknown('A window frame')
      return { partitionBy, orderBy }
    })
  }

  orderings(): Ordering[] {
    const cursor = this.#cursor
    return cursor.separated(() => {
      const by = this.expression()
      const descending = cursor.accept('DESC')
      if (!descending) cursor.accept('ASC')
      const nulls = cursor.accept('NULLS', 'FIRST') ? 'FIRST' : cursor.accept('NULLS', 'LAST') ? 'LAST' : undefined
      return { by, descending, nulls }
    })
  }

  /** A type that may be one of casts only. */
  writtenType(): WrittenType {
    return this.#cursor.accept('BIGNUMERIC') ? 'BIGNUMERIC' : this.type()
  }

  type(): Type {
    const cursor = this.#cursor
    if (cursor.accept('ARRAY')) {
      cursor.expect('<')
      const element = this.type()
      cursor.expect('>')
      return { array: element }
    }
    if (cursor.accept('STRUCT')) {
      cursor.expect('<')
      const struct = cursor.separated(() => ({ name: cursor.name(), type: this.type() }))
      cursor.expect('>')
      return { struct }
    }
    const type = scalar(cursor.peek().text)
    if (type === undefined) throw cursor.unknown(`Type ${cursor.peek().text}`)
    cursor.take()
    if (cursor.is('(')) throw cursor.unknown('A parameterized type')
    return type
  }
}
