import { ConfigError } from '../errors.ts'

/** A change to a live table that takes nothing away: a nullable column more, or one that may be null from now on. */
export interface Widening {
  readonly change: 'add' | 'relax'
  readonly column: string
}

/** One difference between a declared table and the one in the warehouse. */
export interface Difference {
  /** A clause about it. */
  readonly clause: string
  /** What can be done about it, as a sentence, where there is more to say than to change one of the two. */
  readonly advice?: string
  /** How `headrace check --apply` ends it; absent where that would take something away, or could not be. */
  readonly widening?: Widening
}

/** A declared column that the table does not have. */
export function missingColumn({ name: column, mode }: { readonly name: string; readonly mode: string }): Difference {
  const clause = `column ${column} is missing`
  if (mode !== 'REQUIRED') {
    return { clause, advice: `headrace check --apply adds ${column}.`, widening: { change: 'add', column } }
  }
  return { clause, advice: `${column} is required, and the rows that are there have none: declare it nullable to have it added.` }
}

/** A column that is nullable where it is declared required, or the other way round. */
export function otherMode({ name: column, mode }: { readonly name: string; readonly mode: string }): Difference {
  const clause = `column ${column} is ${mode === 'REQUIRED' ? 'nullable' : 'required'}, declared otherwise`
  if (mode === 'REQUIRED') return { clause }
  return { clause, advice: `headrace check --apply lets ${column} be null.`, widening: { change: 'relax', column } }
}

/** The widenings of some differences. */
export function wideningsOf(differences: readonly Difference[]): Widening[] {
  return differences.flatMap(({ widening }) => widening ?? [])
}

/** A widening that was done, as a clause about a table. */
export function wideningText(table: string, { change, column }: Widening): string {
  return `${table}: column ${column} ${change === 'add' ? 'added' : 'may be null now'}`
}

/** Throws `TABLE_MISMATCH` with every difference, if there is one. */
export function mustNotDiffer(table: string, differences: readonly Difference[]): void {
  if (differences.length === 0) return
  const clauses = differences.map(({ clause }) => clause).join('; ')
  const advice = differences.flatMap(difference => difference.advice ?? [])
  throw new ConfigError('TABLE_MISMATCH', {
    message: `table ${table} differs from its declaration: ${clauses}`,
    hint: ['Nothing was read or written. Change the declaration or alter the table.', ...advice].join(' '),
  })
}
