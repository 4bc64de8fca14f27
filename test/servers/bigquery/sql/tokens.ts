import { invalidQuery } from '../errors.ts'

/** The smallest pieces of a text. */
export interface Token {
  readonly kind: 'word' | 'quoted' | 'string' | 'number' | 'parameter' | 'system' | 'symbol' | 'end'
  /** As written; of names and strings, what they stand for. */
  readonly text: string
  /** Where in the text it begins and ends. */
  readonly start: number
  readonly end: number
}

const PATTERN =
  /(?<space>\s+|--[^\n]*|#[^\n]*|\/\*[\s\S]*?\*\/)|(?<word>[A-Za-z_][A-Za-z0-9_]*)|`(?<quoted>[^`\n]+)`|(?<string>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")|(?<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)|@@(?<system>[A-Za-z_][A-Za-z0-9_.]*)|@(?<parameter>[A-Za-z_][A-Za-z0-9_]*)|(?<symbol><=|>=|!=|<>|\|\||[-+*/=<>(),.;[\]])/y

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', '\\': '\\', "'": "'", '"': '"', '`': '`' }

/** Cuts a GoogleSQL text into tokens; throws at the first thing that is none. */
export function tokenize(sql: string): Token[] {
  const tokens: Token[] = []
  let at = 0
  while (at < sql.length) {
    PATTERN.lastIndex = at
    const match = PATTERN.exec(sql)
    if (match === null) throw syntaxError(sql, at, `Illegal input character ${JSON.stringify(sql[at])}`)
    const end = at + match[0].length
    const found = Object.entries(match.groups ?? {}).find(([, text]) => text !== undefined)
    if (found !== undefined && found[0] !== 'space') {
      const [kind, text] = found
      // Prefixed literals (raw, bytes) and triple quotes would be read as something else.
      if (kind === 'string' && (/["']/.test(sql[end] ?? '') || /[rRbB]/.test(sql[at - 1] ?? ''))) {
        throw syntaxError(sql, at, 'A prefixed or triple-quoted literal is not known to this local server')
      }
      tokens.push({ kind: kind as Token['kind'], text: kind === 'string' ? unescaped(sql, at, text) : text, start: at, end })
    }
    at = end
  }
  tokens.push({ kind: 'end', text: 'end of script', start: at, end: at })
  return tokens
}

function unescaped(sql: string, at: number, literal: string): string {
  return literal
    .slice(1, -1)
    .replaceAll(/\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([\s\S]))/g, (_, x, u, U, other) => {
      const code = x ?? u ?? U
      if (code !== undefined) return String.fromCodePoint(Number.parseInt(code, 16))
      const character = ESCAPES[other]
      if (character === undefined) throw syntaxError(sql, at, `Illegal escape sequence: \\${other}`)
      return character
    })
}

/** Line and column of a place in a text, as messages have it. */
export function position(sql: string, at: number): string {
  const before = sql.slice(0, at)
  return `[${before.split('\n').length}:${at - before.lastIndexOf('\n')}]`
}

/** An error of the parser. */
export function syntaxError(sql: string, at: number, message: string): Error {
  return invalidQuery(`Syntax error: ${message} at ${position(sql, at)}`)
}
