import { Ajv2020, type ErrorObject, type FuncKeywordDefinition, type ValidateFunction } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import type { Chunk } from '../chunk.ts'
import { comparedWith } from '../decimal.ts'
import type { Rule } from '../errors.ts'
import { type AnyRow, type MappedPage, type Reject, valueText } from '../row.ts'
import { jsonSchema, type Table } from '../table.ts'

/** Takes the rows of a page that break a rule out of it, as rejects. */
export type ValidatePage = (page: MappedPage, chunk: Chunk) => MappedPage

/**
 * Compiles the checks of a table: that a row belongs to its chunk, and everything its JSON Schema says. Verdicts are per row:
 * one bad row never takes a page with it.
 */
export function compileValidate(table: Table): ValidatePage {
  const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, strictTypes: false, logger: false, verbose: true })
  formats.default(ajv, { mode: 'fast', formats: ['date', 'date-time'] })
  // Ours counts characters only of texts that could have too many; ajv's counts those of every text.
  ajv.removeKeyword('maxLength')
  for (const [keyword, compile] of Object.entries(KEYWORDS)) ajv.addKeyword({ keyword, type: 'string', compile, errors: false })
  // A row has every column, so it has no other field if it has no more of them: quicker than a look at each name.
  const most = { additionalProperties: true, maxProperties: Object.keys(table.columns).length }
  const valid: ValidateFunction = ajv.compile({ ...jsonSchema(table), ...most })
  const { partitionBy } = table

  function broken(row: AnyRow, { client, window }: Chunk): Omit<Reject, 'day' | 'record'> | undefined {
    const day = row[partitionBy]
    if (typeof day === 'string' && (day < window.from || day > window.to)) {
      return { column: partitionBy, rule: 'window', value: day, reason: `is outside the window ${window.from}..${window.to}` }
    }
    if (row.client_id !== client) {
      return {
        column: 'client_id',
        rule: 'client',
        value: valueText(row.client_id),
        reason: `is not the client of the chunk, ${client}`,
      }
    }
    return valid(row) ? undefined : fromSchema(row, valid.errors?.[0])
  }

  return (page, chunk) => {
    const { rows } = page
    let bad: Map<number, Reject> | undefined
    for (let index = 0; index < rows.length; index++) {
      const row = rows[index] as AnyRow
      const rule = broken(row, chunk)
      if (rule === undefined) continue
      const day = row[partitionBy]
      bad ??= new Map()
      bad.set(index, {
        ...rule,
        day: rule.rule === 'window' || typeof day !== 'string' ? null : day,
        record: page.records[index],
      })
    }
    if (bad === undefined) return page
    const kept = (_: unknown, index: number): boolean => !bad.has(index)
    return { records: page.records.filter(kept), rows: rows.filter(kept), rejects: [...page.rejects, ...bad.values()] }
  }
}

const KEYWORDS = {
  maxLength: (most: number) => (text: string) => text.length <= most || [...text].length <= most,
  decimalMinimum: (bound: string) => {
    const compared = comparedWith(bound)
    return (value: string) => compared(value) >= 0
  },
  decimalMaximum: (bound: string) => {
    const compared = comparedWith(bound)
    return (value: string) => compared(value) <= 0
  },
} satisfies Readonly<Record<string, FuncKeywordDefinition['compile']>>

const RULE_OF: Readonly<Record<string, Rule>> = {
  minimum: 'minimum',
  decimalMinimum: 'minimum',
  maximum: 'maximum',
  decimalMaximum: 'maximum',
  enum: 'enum',
  maxLength: 'maxLength',
  pattern: 'pattern',
  type: 'type',
  required: 'required',
  format: 'type',
}

function fromSchema(row: AnyRow, error: ErrorObject | undefined): Omit<Reject, 'day' | 'record'> {
  const column = error?.instancePath.slice(1).replaceAll('~1', '/').replaceAll('~0', '~') || null
  const keyword = error?.keyword ?? ''
  return {
    column,
    rule: RULE_OF[keyword] ?? 'schema',
    value: valueText(column === null ? row : row[column]),
    reason: reasonOf(keyword, error),
  }
}

function reasonOf(keyword: string, error: ErrorObject | undefined): string {
  const limit = error?.params.limit ?? error?.schema
  switch (RULE_OF[keyword]) {
    case 'minimum':
      return `is below the minimum ${limit}`
    case 'maximum':
      return `is above the maximum ${limit}`
    case 'enum':
      return `is none of ${JSON.stringify(error?.params.allowedValues)}`
    case 'maxLength':
      return `is longer than ${limit} characters`
    case 'pattern':
      return `does not match ${error?.params.pattern}`
    default:
      return error?.message ?? 'breaks the schema of the table'
  }
}
