import { type Change, type KnownShape, learn, type Presence } from '../../attempt/drift.ts'
import type { FieldType } from '../../attempt/shape.ts'
import type { AttemptSummary, DriftRecord } from '../ledger.ts'
import type { Queries, SqlRow, Transaction } from './database.ts'

/** The shape that published records of a pipeline had, and of one client in particular. */
export async function knownShape(db: Queries, pipeline: string, client: string): Promise<KnownShape> {
  const shape = await db.get('SELECT fields, types, undeclared FROM shape WHERE pipeline = ?', pipeline)
  const presence = await db.get('SELECT fields FROM presence WHERE pipeline = ? AND client = ?', pipeline, client)
  return {
    fields: shape === undefined ? undefined : new Set<string>(JSON.parse(String(shape.fields))),
    types: sets<FieldType>(shape?.types),
    values: sets<string>(shape?.undeclared),
    presence: new Map(Object.entries<Presence>(JSON.parse(String(presence?.fields ?? '{}')))),
  }
}

function sets<T>(text: unknown): Map<string, Set<T>> {
  const lists: Readonly<Record<string, readonly T[]>> = JSON.parse(String(text ?? '{}'))
  return new Map(Object.entries(lists).map(([path, list]) => [path, new Set(list)]))
}

function listsText(lists: ReadonlyMap<string, ReadonlySet<string>>): string {
  return JSON.stringify(Object.fromEntries([...lists].map(([path, set]) => [path, [...set]])))
}

/** Makes the shape of a chunk that was published the known one. A chunk without records shows none. */
export async function learnShape(tx: Transaction, summary: AttemptSummary): Promise<void> {
  if (summary.fields.length === 0) return
  const { pipeline, client } = summary
  const { fields, types, values, presence } = learn(await knownShape(tx, pipeline, client), summary)
  const shape = { fields: JSON.stringify([...(fields ?? [])].sort()), types: listsText(types), undeclared: listsText(values) }
  await tx.insert('shape', [{ pipeline, ...shape, seen_at: tx.now }], ['pipeline'])
  const had = { pipeline, client, fields: JSON.stringify(Object.fromEntries(presence)) }
  await tx.insert('presence', [had], ['pipeline', 'client'])
}

/** Writes down what was different in a chunk, whatever becomes of it. What the same client has shown before keeps its first words. */
export async function recordDrifts(tx: Transaction, summary: AttemptSummary): Promise<void> {
  const { pipeline, client, from, to, runId } = summary
  for (const { change, path, value, count, records, before } of summary.drifts) {
    const drift = { pipeline, client, change, path, value }
    if ((await tx.update('drift', { last_at: tx.now }, drift)) > 0) continue
    const first = { run_id: runId, window_from: from, window_to: to, first_at: tx.now, last_at: tx.now }
    await tx.insert('drift', [{ ...drift, count, records, known: before, ...first }])
  }
}

/** Drifts of a pipeline, those seen last first; of several clients that show the same, the first speaks. */
export async function drifts(db: Queries, pipeline: string, limit: number): Promise<DriftRecord[]> {
  const same = 'PARTITION BY change, path, value'
  const rows = await db.all(
    `SELECT * FROM (SELECT *, count(*) OVER (${same}) AS clients, max(last_at) OVER (${same}) AS newest, ` +
      `row_number() OVER (${same} ORDER BY first_at, client) AS place FROM drift WHERE pipeline = ?) AS d ` +
      'WHERE place = 1 ORDER BY newest DESC, change, path, value LIMIT ?',
    pipeline,
    limit,
  )
  return rows.map(driftRecord)
}

function driftRecord(row: SqlRow): DriftRecord {
  return {
    change: row.change as Change,
    path: String(row.path),
    value: String(row.value),
    count: Number(row.count),
    records: Number(row.records),
    before: String(row.known),
    first: {
      client: String(row.client),
      window: { from: String(row.window_from), to: String(row.window_to) },
      runId: String(row.run_id),
      at: Number(row.first_at),
    },
    lastAt: Number(row.newest),
    clients: Number(row.clients),
  }
}
