import type { WarehouseField } from '../table.ts'

type Fields = readonly Omit<WarehouseField, 'description'>[]

/** What is kept of each client and day beside a table: which attempt last wrote it. The fence stands in `generation`. */
export const SLICE_FIELDS: Fields = [
  { name: 'client_id', type: 'STRING', mode: 'REQUIRED' },
  { name: 'day', type: 'DATE', mode: 'REQUIRED' },
  { name: 'generation', type: 'INT64', mode: 'REQUIRED' },
  { name: 'attempt_id', type: 'STRING', mode: 'REQUIRED' },
  { name: 'rows', type: 'INT64', mode: 'REQUIRED' },
  { name: 'published_at', type: 'TIMESTAMP', mode: 'REQUIRED' },
]

/** The columns of a reject that are staged; the others are known at the commit. */
export const STAGED_REJECT_FIELDS: Fields = [
  { name: 'day', type: 'DATE', mode: 'REQUIRED' },
  { name: 'column_name', type: 'STRING', mode: 'NULLABLE' },
  { name: 'rule', type: 'STRING', mode: 'REQUIRED' },
  { name: 'value', type: 'STRING', mode: 'NULLABLE' },
  { name: 'reason', type: 'STRING', mode: 'REQUIRED' },
  { name: 'record', type: 'JSON', mode: 'REQUIRED' },
]

/** What is kept of a reject. */
export const REJECT_FIELDS: Fields = [
  { name: 'client_id', type: 'STRING', mode: 'REQUIRED' },
  ...STAGED_REJECT_FIELDS,
  { name: 'attempt_id', type: 'STRING', mode: 'REQUIRED' },
  { name: 'held', type: 'BOOL', mode: 'REQUIRED' },
  { name: 'rejected_at', type: 'TIMESTAMP', mode: 'REQUIRED' },
]
