import { rowHash } from '../attempt/fingerprint.ts'
import type { ChunkSummary } from '../attempt/summary.ts'
import { type Reject, valueText } from '../row.ts'
import type { Table } from '../table.ts'
import type { Staging, WarehouseCall } from '../warehouse/warehouse.ts'

/** What is staged, and what is remembered of it. */
export interface SiftTarget {
  readonly table: Table
  readonly staging: Staging
  readonly summary: ChunkSummary
}

/**
 * Takes the rows that the warehouse refuses out of what is staged and out of the summary, and returns them as rejects. Their record is the
 * row: what the API gave is gone by then. None when the warehouse does not name any.
 */
export async function siftRows({ table, staging, summary }: SiftTarget, call: WarehouseCall): Promise<Reject[]> {
  const refused = await staging.sift(call)
  return refused.map(({ row, line, column, reason }) => {
    const day = String(row[table.partitionBy])
    rowHash.over(new DataView(line.buffer, line.byteOffset, line.byteLength), 0, line.byteLength)
    summary.remove(day, row, rowHash.a, rowHash.b)
    return { column, rule: 'warehouse', value: column === null ? null : valueText(row[column]), reason, day, record: row }
  })
}
