/** One thing of a script that an analyzer can judge alone. */
export interface Part {
  /** A statement, or an expression as `SELECT (..)`; variables are written as parameters. */
  readonly sql: string
  readonly line: number
}

/** A script taken apart: its statements and conditions, and the variables it declares with their types. */
export interface Parts {
  readonly parts: readonly Part[]
  readonly variables: Readonly<Record<string, string>>
}

interface Token {
  readonly text: string
  readonly line: number
}

const TOKEN = /'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`[^`]*`|--[^\n]*|@@?\w+|\w+|\s+|./gs

/** Statements that only move the flow or the transaction along. */
const FLOW = /^(BEGIN TRANSACTION|COMMIT TRANSACTION|END IF|ELSE)$/i

/**
 * Takes a script apart. It knows the statements that headrace writes, and throws for what it does not know: nothing may slip through unjudged.
 */
export function takeApart(script: string): Parts {
  const variables: Record<string, string> = {}
  const raw: { text: string; line: number }[] = []
  let line = 1
  let current: Token[] = []
  let depth = 0
  const flush = (): void => {
    const text = current
      .map(token => token.text)
      .join('')
      .trim()
    const first = current.find(token => token.text.trim() !== '')
    if (text !== '') raw.push({ text, line: first?.line ?? line })
    current = []
  }
  for (const [text] of script.matchAll(TOKEN)) {
    const token = { text, line }
    line += text.split('\n').length - 1
    if (text.startsWith('--')) continue
    if (text === '(') depth++
    if (text === ')') depth--
    const started = current
      .map(one => one.text)
      .join('')
      .trim()
    if (text === ';' && depth === 0) flush()
    else if (/^THEN$/i.test(text) && depth === 0 && /^IF\b/i.test(started)) flush()
    else current.push(token)
  }
  flush()
  const parts = raw.flatMap(({ text, line: at }) => {
    const declared = /^DECLARE ([\w, ]+?) (ARRAY<.*>|\w+)$/s.exec(text)
    if (declared !== null) {
      for (const name of declared[1]?.split(',') ?? []) variables[name.trim()] = declared[2] ?? ''
      return []
    }
    if (FLOW.test(text)) return []
    return [{ line: at, text }]
  })
  const asParameters = (text: string): string =>
    [...text.matchAll(TOKEN)]
      .map(([token]) => (token in variables ? `@${token}` : token === '@@row_count' ? '@row_count' : token))
      .join('')
  return { variables, parts: parts.map(({ text, line: at }) => ({ line: at, sql: asParameters(statementOf(text)) })) }
}

/** What of a statement is judged. */
function statementOf(text: string): string {
  const [, condition] = /^IF\s(.*)$/is.exec(text) ?? []
  if (condition !== undefined) return `SELECT (${condition})`
  const [, message] = /^RAISE USING MESSAGE = (.*)$/is.exec(text) ?? []
  if (message !== undefined) return `SELECT CASE WHEN TRUE THEN 'text' ELSE (${message}) END`
  const [, names, value] = /^SET \(([\w, ]+)\) = \(\s*SELECT AS STRUCT (.*)\)$/is.exec(text) ?? []
  if (names !== undefined) return `SELECT AS STRUCT ${value}`
  const [, name, expression] = /^SET (\w+) = (.*)$/is.exec(text) ?? []
  // A value of another type than the variable has no type in common with it.
  if (name !== undefined) return `SELECT CASE WHEN TRUE THEN ${name} ELSE (${expression}) END`
  if (/^(SELECT|INSERT|DELETE|MERGE|UPDATE)\b/i.test(text)) return text
  throw new Error(`an unknown statement: ${text.slice(0, 100)}`)
}
