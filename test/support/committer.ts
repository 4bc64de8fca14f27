import { type CommitOptions, type Committed, Committer, type Turns } from '../../lib/steps/commit.ts'
import type { Table } from '../../lib/table.ts'
import { undisturbed } from '../../lib/testing/stage.ts'
import type { Member, Warehouse } from '../../lib/warehouse/warehouse.ts'

/** The turns of a process that shares its tables with nobody. */
export const ALONE: Turns<never> = {
  take: (_, work) => work(),
  published: async () => new Map<string, never>(),
  staged: async () => [],
}

/** Publishes one member, in a group with others that are published at the same time. */
export type Publish = (table: Table, totals: readonly string[], member: Member) => Promise<Committed>

/** A committer in a process of its own, which writes nothing down. */
export function committing(warehouse: Warehouse, options: Partial<CommitOptions<Committed>> = {}): Publish {
  const committer = new Committer<Committed>(warehouse, {
    turns: ALONE,
    gather: () => undefined,
    groupChunks: 100,
    groupRows: 1e9,
    call: undisturbed,
    onCommitting: async () => undefined,
    transaction: (_, commit) => commit(),
    onCommitted: () => undefined,
    ...options,
  })
  const ending = { trace: undefined, record: async (committed: Committed) => committed, withdraw: async () => undefined }
  return (table, totals, member) => committer.publish({ name: table.name, table, totals }, member, ending)
}
