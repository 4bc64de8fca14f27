import { describe } from '../mapping.ts'
import type { AnyExpr, Pipeline } from '../pipeline.ts'
import type { Column } from '../table.ts'
import type { DatasetName } from './dataset.ts'

/** Stands for the whole record, where a custom expression may read any of its fields. */
const WHOLE_RECORD = '*'

/** The field of the record that an expression reads, if it reads any. */
function fieldOf({ operation, path }: AnyExpr): string | undefined {
  return operation === 'custom' ? WHOLE_RECORD : path
}

/** The fields of the records that the mapping reads, in the order of the columns. What types they have, nobody has promised. */
export function recordFields({ map }: Pipeline): object {
  const fields = Object.values(map).flatMap(expr => fieldOf(expr) ?? [])
  return { fields: [...new Set(fields)].map(name => ({ name })) }
}

/** The columns of the table. */
export function tableFields({ table }: Pipeline): object {
  return {
    fields: Object.entries<Column>(table.columns).map(([name, { type, description }]) => ({
      name,
      type,
      ...(description === undefined ? {} : { description }),
    })),
  }
}

/** Which fields each column is made of, and how: nothing for a constant, or for the client of the chunk. */
export function columnLineage({ map }: Pipeline, api: DatasetName): object {
  return {
    fields: Object.fromEntries(Object.entries(map).map(([column, expr]) => [column, { inputFields: inputFields(expr, api) }])),
  }
}

function inputFields(expr: AnyExpr, api: DatasetName): object[] {
  const field = fieldOf(expr)
  if (field === undefined) return []
  // A value that only changes its type or notation is still that value.
  const subtype = expr.operation === 'micros' || expr.operation === 'custom' ? 'TRANSFORMATION' : 'IDENTITY'
  return [{ ...api, field, transformations: [{ type: 'DIRECT', subtype, description: describe(expr) }] }]
}
