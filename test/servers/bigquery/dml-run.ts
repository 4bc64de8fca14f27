import { randomUUID } from 'node:crypto'
import { type Bytes, bytesChanged, bytesOf } from './billing.ts'
import { tableName } from './catalogue.ts'
import { conflict } from './claims.ts'
import type { Context } from './context.ts'
import type { Session } from './duck.ts'
import { invalidQuery } from './errors.ts'
import { compact, type Json } from './json.ts'
import type { Dml } from './sql/dml.ts'
import type { TableUse } from './sql/scope.ts'
import type { Transaction } from './transaction.ts'
import { quote } from './types.ts'

/** What surrounds a DML statement. */
export interface Surroundings {
  readonly transaction: Transaction | undefined
  readonly signal: AbortSignal
  /** Throws when this is more than the statement may cost. */
  afford(bytes: Bytes): void
}

/** What a DML statement did. */
export interface Changed {
  readonly rows: number
  readonly bytes: Bytes
  readonly details: Json
}

/** Runs a DML statement under the rules of the service: those of conflicts, of streaming buffers, and of what it costs. */
export async function runDml(
  context: Context,
  session: Session,
  dml: Dml,
  uses: readonly TableUse[],
  surroundings: Surroundings,
): Promise<Changed> {
  const { claims, catalogue, switches } = context
  const { id } = dml.target.entry
  claims.countStatement(id, switches.dmlPer10Seconds, catalogue.display(id))
  if (surroundings.transaction !== undefined || dml.changes === undefined)
    return await runClaimed(context, session, dml, uses, surroundings)
  const statement = randomUUID()
  await claims.acquire(id, statement, surroundings.signal)
  let changed = false
  try {
    const done = await runClaimed(context, session, dml, uses, surroundings)
    changed = done.rows > 0
    return done
  } finally {
    claims.release(statement, changed)
  }
}

async function runClaimed(
  { catalogue, switches }: Context,
  session: Session,
  dml: Dml,
  uses: readonly TableUse[],
  { transaction, afford }: Surroundings,
): Promise<Changed> {
  const { target, changes } = dml
  const { id } = target.entry
  const display = catalogue.display(id)
  await mustNotTouchBuffer(session, dml, display, transaction !== undefined)
  if (dml.ambiguous !== undefined && (await session.query(dml.ambiguous)).length > 0) {
    throw invalidQuery('UPDATE/MERGE must match at most one source row for each target row')
  }
  const bytes = await bytesOfDml(session, dml, uses)
  afford(bytes)
  if (transaction !== undefined && changes !== undefined) {
    // Before the first row changes: DuckDB would let some of it pass.
    if (switches.emptyMutationClaims || (await holdsRow(session, target, changes))) transaction.claim(id, display)
  }
  const { inserted, updated, deleted } = await change(session, dml).catch((error: unknown) => {
    throw isConflict(error) ? conflict(display, transaction?.id ?? 'none') : error
  })
  catalogue.touch(target.entry)
  const rows = inserted + updated + deleted
  const count = (n: number): string | undefined => (n > 0 ? String(n) : undefined)
  return {
    rows,
    bytes,
    details: {
      numDmlAffectedRows: String(rows),
      dmlStats: compact({
        insertedRowCount: count(inserted),
        updatedRowCount: count(updated),
        deletedRowCount: count(deleted),
      }),
    },
  }
}

/** Rows that were streamed a moment ago may not change, and in a transaction their whole table may not. */
async function mustNotTouchBuffer(session: Session, dml: Dml, display: string, inTransaction: boolean): Promise<void> {
  if (dml.buffered === undefined) return
  const [row] = inTransaction ? [{ n: 1 }] : await session.query(dml.buffered)
  if (Number(row?.n) === 0) return
  throw invalidQuery(
    `UPDATE or DELETE statement over table ${display} would affect rows in the streaming buffer, which is not supported`,
  )
}

/** What a DML statement reads and changes, in bytes. */
export async function bytesOfDml(
  session: Session,
  { target, changes, wholePartitions }: Dml,
  uses: readonly TableUse[],
): Promise<Bytes> {
  if (wholePartitions) return { processed: 0, billed: 0 }
  // The target of an INSERT is not read; what changes rows is charged for their partitions in full.
  const read = uses.filter(use => use !== target || changes !== undefined)
  if (changes === undefined) return await bytesOf(session, read)
  return await bytesOf(session, read, { use: target, bytes: await bytesChanged(session, target, changes) })
}

async function holdsRow(session: Session, use: TableUse, condition: string): Promise<boolean> {
  const rows = await session.query(`SELECT 1 FROM ${tableName(use.entry.id)} AS ${quote(use.alias)} WHERE ${condition} LIMIT 1`)
  return rows.length > 0
}

/** Whether DuckDB found that two transactions changed the same row. */
function isConflict(error: unknown): boolean {
  return error instanceof Error && /conflict/i.test(error.message)
}

async function change(session: Session, { kind, sql }: Dml): Promise<{ inserted: number; updated: number; deleted: number }> {
  if (kind === 'MERGE') {
    const actions = await session.query(sql)
    const count = (action: string): number => actions.filter(row => row.merge_action === action).length
    return { inserted: count('INSERT'), updated: count('UPDATE'), deleted: count('DELETE') }
  }
  const rows = await session.run(sql)
  const isDelete = kind === 'DELETE' || kind === 'TRUNCATE_TABLE'
  return { inserted: kind === 'INSERT' ? rows : 0, updated: kind === 'UPDATE' ? rows : 0, deleted: isDelete ? rows : 0 }
}
