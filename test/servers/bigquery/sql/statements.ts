import { scalar } from '../types.ts'
import type { Action, Assignment, ColumnDefinition, Expr, MergeClause, Statement, Target } from './ast.ts'
import { Cursor } from './cursor.ts'
import { QueryParser } from './queries.ts'

/** Parses a whole script; a mistake anywhere in it is found before anything runs. */
export function parseScript(sql: string): Statement[] {
  const parser = new StatementParser(new Cursor(sql))
  return parser.script()
}

class StatementParser {
  readonly #cursor: Cursor
  readonly #queries: QueryParser

  constructor(cursor: Cursor) {
    this.#cursor = cursor
    this.#queries = new QueryParser(cursor)
  }

  script(): Statement[] {
    const statements = this.#list()
    if (this.#cursor.peek().kind !== 'end') throw this.#cursor.unexpected('a statement')
    if (statements.length === 0) throw this.#cursor.unexpected('a statement')
    const declares = statements.findLastIndex(({ action }) => action.kind === 'DECLARE')
    if (statements.slice(0, Math.max(0, declares)).some(({ action }) => action.kind !== 'DECLARE')) {
      throw this.#cursor.unknown('DECLARE after another statement')
    }
    return statements
  }

  #list(): Statement[] {
    const statements: Statement[] = []
    while (
      this.#cursor.peek().kind !== 'end' &&
      !this.#cursor.is('END') &&
      !this.#cursor.is('ELSE') &&
      !this.#cursor.is('ELSEIF')
    ) {
      statements.push(this.#statement())
      if (!this.#cursor.accept(';')) break
    }
    return statements
  }

  #statement(): Statement {
    const { at } = this.#cursor
    const action = this.#action()
    return { action, at, text: this.#cursor.sql.slice(at, this.#cursor.before) }
  }

  #action(): Action {
    const cursor = this.#cursor
    if (cursor.is('SELECT') || cursor.is('WITH') || cursor.is('(')) return { kind: 'SELECT', query: this.#queries.query() }
    if (cursor.accept('DECLARE')) return this.#declare()
    if (cursor.accept('SET')) return this.#set()
    if (cursor.accept('IF')) return this.#if()
    if (cursor.accept('RAISE')) {
      cursor.expect('USING', 'MESSAGE', '=')
      return { kind: 'RAISE', message: this.#expression() }
    }
    if (cursor.accept('ASSERT')) {
      const condition = this.#expression()
      const message = cursor.accept('AS') ? cursor.take().text : undefined
      return { kind: 'ASSERT', condition, message }
    }
    for (const kind of ['BEGIN', 'COMMIT', 'ROLLBACK'] as const) {
      // A bare BEGIN opens a block, not a transaction.
      if (cursor.accept(kind, 'TRANSACTION') || (cursor.peek(1).text === ';' && cursor.accept(kind)))
        return { kind: `${kind}_TRANSACTION` }
    }
    if (cursor.accept('INSERT')) return this.#insert()
    if (cursor.accept('DELETE')) return this.#delete()
    if (cursor.accept('UPDATE')) return this.#update()
    if (cursor.accept('MERGE')) return this.#merge()
    if (cursor.accept('TRUNCATE', 'TABLE')) return { kind: 'TRUNCATE_TABLE', target: this.#target() }
    if (cursor.accept('CREATE', 'TABLE')) return this.#create()
    if (cursor.accept('DROP', 'TABLE'))
      return { kind: 'DROP_TABLE', unless: cursor.accept('IF', 'EXISTS'), target: this.#target() }
    if (cursor.accept('ALTER', 'TABLE')) return this.#alter()
    throw cursor.unknown(`A statement that begins with ${cursor.peek().text}`)
  }

  #declare(): Action {
    const cursor = this.#cursor
    const names = cursor.separated(() => cursor.name())
    const type = cursor.is('DEFAULT') ? undefined : this.#queries.expressions.type()
    const value = cursor.accept('DEFAULT') ? this.#expression() : undefined
    if (type === undefined) throw cursor.unknown('DECLARE without a type')
    return { kind: 'DECLARE', names, type, value }
  }

  #set(): Action {
    const cursor = this.#cursor
    const names = cursor.is('(') ? cursor.parenthesized(() => cursor.separated(() => cursor.name())) : [cursor.name()]
    cursor.expect('=')
    return { kind: 'SET', names, value: this.#expression() }
  }

  #if(): Action {
    const cursor = this.#cursor
    const branches: { condition: Expr; text: string; body: readonly Statement[] }[] = []
    do {
      const { at } = cursor
      const condition = this.#expression()
      const text = cursor.sql.slice(at, cursor.before)
      cursor.expect('THEN')
      branches.push({ condition, text, body: this.#list() })
    } while (cursor.accept('ELSEIF'))
    const otherwise = cursor.accept('ELSE') ? this.#list() : []
    cursor.expect('END', 'IF')
    return { kind: 'IF', branches, otherwise }
  }

  #insert(): Action {
    const cursor = this.#cursor
    cursor.accept('INTO')
    const { at } = cursor
    const path = this.#queries.expressions.path()
    const target = { path, alias: path.at(-1) ?? '', at }
    const columns = cursor.parenthesized(() => cursor.separated(() => cursor.name()))
    if (!cursor.accept('VALUES')) return { kind: 'INSERT', target, columns, source: this.#queries.query() }
    const row = (): Expr[] => cursor.parenthesized(() => cursor.separated(() => this.#expression()))
    return { kind: 'INSERT', target, columns, source: cursor.separated(row) }
  }

  #delete(): Action {
    const cursor = this.#cursor
    cursor.accept('FROM')
    const target = this.#target()
    // A DELETE or UPDATE without WHERE is an error.
    cursor.expect('WHERE')
    return { kind: 'DELETE', target, where: this.#expression() }
  }

  #update(): Action {
    const cursor = this.#cursor
    const target = this.#target()
    cursor.expect('SET')
    const set = cursor.separated(() => this.#assignment())
    const from = cursor.accept('FROM') ? this.#queries.from() : undefined
    cursor.expect('WHERE')
    return { kind: 'UPDATE', target, set, from, where: this.#expression() }
  }

  #assignment(): Assignment {
    const column = this.#cursor.name()
    this.#cursor.expect('=')
    return [column, this.#expression()]
  }

  #merge(): Action {
    const cursor = this.#cursor
    cursor.accept('INTO')
    const target = this.#target()
    cursor.expect('USING')
    const source = this.#queries.from()
    cursor.expect('ON')
    const on = this.#expression()
    const clauses: MergeClause[] = []
    while (cursor.accept('WHEN')) clauses.push(this.#mergeClause())
    if (clauses.length === 0) throw cursor.unexpected('WHEN')
    return { kind: 'MERGE', target, source, on, clauses }
  }

  #mergeClause(): MergeClause {
    const cursor = this.#cursor
    const unmatched = cursor.accept('NOT')
    cursor.expect('MATCHED')
    if (cursor.accept('BY')) throw cursor.unknown('NOT MATCHED BY')
    const and = cursor.accept('AND') ? this.#expression() : undefined
    cursor.expect('THEN')
    if (!unmatched) {
      if (cursor.accept('DELETE')) return { when: 'matched', and, set: 'DELETE' }
      cursor.expect('UPDATE', 'SET')
      return { when: 'matched', and, set: cursor.separated(() => this.#assignment()) }
    }
    cursor.expect('INSERT')
    const columns = cursor.parenthesized(() => cursor.separated(() => cursor.name()))
    cursor.expect('VALUES')
    return { when: 'unmatched', and, columns, values: cursor.parenthesized(() => cursor.separated(() => this.#expression())) }
  }

  #create(): Action {
    const cursor = this.#cursor
    const unless = cursor.accept('IF', 'NOT', 'EXISTS')
    const target = this.#target()
    const columns = cursor.parenthesized(() => cursor.separated(() => this.#column()))
    const partition = cursor.accept('PARTITION', 'BY') ? this.#partition() : undefined
    const cluster = cursor.accept('CLUSTER', 'BY') ? cursor.separated(() => cursor.name()) : []
    const options = cursor.accept('OPTIONS') ? cursor.parenthesized(() => cursor.separated(() => this.#assignment())) : []
    if (cursor.is('AS')) throw cursor.unknown('CREATE TABLE AS SELECT')
    return { kind: 'CREATE_TABLE', target, unless, columns, partition, cluster, options: Object.fromEntries(options) }
  }

  #partition(): { field: string; type: 'DAY' | 'MONTH' | 'YEAR' } {
    const cursor = this.#cursor
    if (!cursor.accept('DATE_TRUNC')) return { field: cursor.name(), type: 'DAY' }
    return cursor.parenthesized(() => {
      const field = cursor.name()
      cursor.expect(',')
      for (const type of ['MONTH', 'YEAR'] as const) if (cursor.accept(type)) return { field, type }
      throw cursor.unexpected('MONTH or YEAR')
    })
  }

  #column(): ColumnDefinition {
    const cursor = this.#cursor
    const name = cursor.name()
    const type = scalar(cursor.peek().text)
    if (type === undefined) throw cursor.unknown(`A column of ${cursor.peek().text}`)
    cursor.take()
    const required = cursor.accept('NOT', 'NULL')
    if (!cursor.is(',') && !cursor.is(')') && !cursor.is(';') && cursor.peek().kind !== 'end')
      throw cursor.unexpected('the end of the column')
    return { name, type, required }
  }

  #alter(): Action {
    const cursor = this.#cursor
    const { at } = cursor
    const path = this.#queries.expressions.path()
    const target = { path, alias: path.at(-1) ?? '', at }
    let unless = true
    const add = cursor.separated(() => {
      cursor.expect('ADD', 'COLUMN')
      unless = cursor.accept('IF', 'NOT', 'EXISTS') && unless
      return this.#column()
    })
    return { kind: 'ALTER_TABLE', target, add, unless }
  }

  #target(): Target {
    return this.#queries.table()
  }

  #expression(): Expr {
    return this.#queries.expressions.expression()
  }
}
