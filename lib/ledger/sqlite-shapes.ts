import { type Change, type KnownShape, learn, type Presence } from '../drift.ts'
import type { FieldType } from '../shape.ts'
import type { AttemptSummary, DriftRecord } from './ledger.ts'
import type { LedgerDatabase, SqlRow } from './sqlite-database.ts'

/** The shape that published records of a pipeline had, and of one client in particular. */
export function knownShape(db: LedgerDatabase, pipeline: string, client: string): KnownShape {
  const shape = db.get('SELECT fields, types, undeclared FROM shape WHERE pipeline = ?', pipeline)
  const presence = db.get('SELECT fields FROM presence WHERE pipeline = ? AND client = ?', pipeline, client)
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
export function learnShape(db: LedgerDatabase, summary: AttemptSummary, now: number): void {
  if (summary.fields.length === 0) return
  const { pipeline, client } = summary
  const { fields, types, values, presence } = learn(knownShape(db, pipeline, client), summary)
  const shape = { fields: JSON.stringify([...(fields ?? [])].sort()), types: listsText(types), undeclared: listsText(values) }
  db.insert('shape', { pipeline, ...shape, seen_at: now }, ['pipeline'])
  db.insert('presence', { pipeline, client, fields: JSON.stringify(Object.fromEntries(presence)) }, ['pipeline', 'client'])
}

/** Writes down what was different in a chunk, whatever becomes of it. What the same client has shown before keeps its first words. */
export function recordDrifts(db: LedgerDatabase, summary: AttemptSummary, now: number): void {
  const { pipeline, client, from, to, runId } = summary
  for (const { change, path, value, count, records, before } of summary.drifts) {
    const drift = { pipeline, client, change, path, value }
    if (db.update('drift', { last_at: now }, drift) > 0) continue
    const first = { run_id: runId, window_from: from, window_to: to, first_at: now, last_at: now }
    db.insert('drift', { ...drift, count, records, known: before, ...first })
  }
}

/** Drifts of a pipeline, those seen last first; of several clients that show the same, the first speaks. */
export function drifts(db: LedgerDatabase, pipeline: string, limit: number): DriftRecord[] {
  const same = 'PARTITION BY change, path, value'
  return db
    .all(
      `SELECT * FROM (SELECT *, count(*) OVER (${same}) AS clients, max(last_at) OVER (${same}) AS newest, ` +
        `row_number() OVER (${same} ORDER BY first_at, client) AS place FROM drift WHERE pipeline = ?) AS d ` +
        'WHERE place = 1 ORDER BY newest DESC, change, path, value LIMIT ?',
      pipeline,
      limit,
    )
    .map(driftRecord)
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
