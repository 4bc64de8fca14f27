import { syntaxError, type Token, tokenize } from './tokens.ts'

/** Words that are no names unless they are quoted. */
const RESERVED = new Set(
  (
    'ALL AND ANY ARRAY AS ASC BETWEEN BY CASE CAST CREATE CROSS CURRENT DEFAULT DESC DISTINCT ELSE END EXCEPT EXISTS EXTRACT FALSE FROM FULL ' +
    'GROUP HAVING IF IGNORE IN INNER INTERSECT INTERVAL INTO IS JOIN LEFT LIKE LIMIT MERGE NATURAL NOT NULL ON OR ORDER OUTER OVER PARTITION ' +
    'QUALIFY RANGE RIGHT ROLLUP ROWS SELECT SET SOME STRUCT THEN TO TRUE UNION UNNEST USING WHEN WHERE WINDOW WITH'
  ).split(' '),
)

/** Reads the tokens of a text one after the other. */
export class Cursor {
  readonly sql: string
  readonly #tokens: readonly Token[]
  #next = 0

  constructor(sql: string) {
    this.sql = sql
    this.#tokens = tokenize(sql)
  }

  /** The token ahead, without going past it. */
  peek(ahead = 0): Token {
    return this.#tokens[Math.min(this.#next + ahead, this.#tokens.length - 1)] as Token
  }

  /** The place of the token ahead. */
  get at(): number {
    return this.peek().start
  }

  /** The place where the token before ended. */
  get before(): number {
    return this.#tokens[this.#next - 1]?.end ?? 0
  }

  take(): Token {
    const token = this.peek()
    this.#next++
    return token
  }

  /** Whether these words or symbols are ahead. */
  is(...texts: readonly string[]): boolean {
    return texts.every((text, index) => matches(this.peek(index), text))
  }

  /** Goes past these words or symbols if they are ahead, and says whether they were. */
  accept(...texts: readonly string[]): boolean {
    const there = this.is(...texts)
    if (there) this.#next += texts.length
    return there
  }

  /** Goes past these words or symbols, or throws. */
  expect(...texts: readonly string[]): void {
    for (const text of texts) if (!this.accept(text)) throw this.unexpected(text)
  }

  /** A name: a word that is not reserved, or anything in backticks without a dot. */
  name(): string {
    const token = this.peek()
    const isName =
      token.kind === 'word' ? !RESERVED.has(token.text.toUpperCase()) : token.kind === 'quoted' && !token.text.includes('.')
    if (!isName) throw this.unexpected('a name')
    return this.take().text
  }

  /** Whether a name is ahead. */
  isName(): boolean {
    const { kind, text } = this.peek()
    return kind === 'quoted' || (kind === 'word' && !RESERVED.has(text.toUpperCase()))
  }

  /** After a dot any word is a name. */
  part(): string {
    return this.peek().kind === 'word' ? this.take().text : this.name()
  }

  /** Reads one thing after the other, with commas between. */
  separated<T>(one: () => T): T[] {
    const all = [one()]
    while (this.accept(',')) all.push(one())
    return all
  }

  /** Reads something in parentheses. */
  parenthesized<T>(inner: () => T): T {
    this.expect('(')
    const value = inner()
    this.expect(')')
    return value
  }

  unexpected(wanted: string): Error {
    const { text, kind } = this.peek()
    return syntaxError(this.sql, this.at, `Expected ${wanted} but got ${kind === 'end' ? text : JSON.stringify(text)}`)
  }

  /** What is correct GoogleSQL perhaps, but not translated here. */
  unknown(what: string): Error {
    return syntaxError(this.sql, this.at, `${what} is not known to this local server`)
  }
}

function matches(token: Token, text: string): boolean {
  return token.kind === 'word' ? token.text.toUpperCase() === text : token.kind === 'symbol' && token.text === text
}
