import type { TableEntry } from './catalogue.ts'
import type { Context } from './context.ts'
import { ApiError, invalidQuery } from './errors.ts'
import type { Action, ColumnDefinition, Expr } from './sql/ast.ts'
import { tableIdOf } from './sql/scope.ts'
import type { Field } from './types.ts'

type Ddl = Extract<Action, { kind: 'CREATE_TABLE' | 'DROP_TABLE' | 'ALTER_TABLE' }>

/** Whether a statement is DDL. */
export function isDdl(action: Action): action is Ddl {
  return action.kind === 'CREATE_TABLE' || action.kind === 'DROP_TABLE' || action.kind === 'ALTER_TABLE'
}

/** Runs a DDL statement. */
export async function createTable({ catalogue, project }: Context, action: Ddl): Promise<void> {
  const id = tableIdOf(action.target.path, project, '[1:1]')
  const existing = catalogue.find(id)
  if (action.kind === 'CREATE_TABLE') {
    if (existing !== undefined && action.unless) return
    const { require_partition_filter: filter, description, ...unknown } = action.options
    for (const name of Object.keys(unknown)) throw invalidQuery(`Option ${name} is not known to this local server`)
    await catalogue.createTable(id, {
      fields: action.columns.map(fieldOf),
      partitioning: action.partition,
      clustering: action.cluster.length === 0 ? undefined : action.cluster,
      requirePartitionFilter: constant(filter) === 'TRUE',
      expiresAt: undefined,
      labels: undefined,
      description: constant(description),
    })
    return
  }
  if (action.kind === 'DROP_TABLE') {
    if (existing !== undefined || !action.unless) await catalogue.deleteTable(id)
    return
  }
  const entry: TableEntry = catalogue.table(id)
  const added = action.add.map(fieldOf).filter(({ name }) => {
    const there = entry.fields.some(field => field.name.toLowerCase() === name.toLowerCase())
    if (there && !action.unless) throw new ApiError('duplicate', `Column already exists: ${name}`)
    return !there
  })
  await catalogue.changeFields(entry, [...entry.fields, ...added])
  catalogue.touch(entry)
}

function fieldOf({ name, type, required }: ColumnDefinition): Field {
  return { name, type, mode: required ? 'REQUIRED' : 'NULLABLE' }
}

function constant(value: Expr | undefined): string | undefined {
  if (value === undefined) return undefined
  if (value.kind !== 'literal') throw invalidQuery('An option that is not a literal is not known to this local server')
  return value.text
}
