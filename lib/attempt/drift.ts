import type { WarningName } from '../errors.ts'
import { type FieldType, MOST_FIELDS, MOST_VALUES, type ReadField, type Shape } from './shape.ts'

/** What may change in the records of an API, and the warning that tells it. */
export const CHANGES = {
  added: 'FIELD_ADDED',
  missing: 'FIELD_MISSING',
  type_changed: 'FIELD_TYPE_CHANGED',
  value_added: 'VALUE_ADDED',
} as const satisfies Record<string, WarningName>

/** Name of a change. */
export type Change = keyof typeof CHANGES

/** One change in the shape of the records of a chunk, against what was published before. It holds counts and types, and no value but undeclared ones. */
export interface Drift {
  readonly change: Change
  /** Dotted path of the field; the column, where a custom expression made the value. */
  readonly path: string
  /** The new type, or the new value as JSON text; empty for a field that came or went. */
  readonly value: string
  /** In how many records: those with the new field, without the missing one, with the new type, with the new value. */
  readonly count: number
  /** Of how many; for a new field, of those that were looked at. */
  readonly records: number
  /** What was there before, in words. */
  readonly before: string
}

/** How many records there were, and how many of them had the field. */
export interface Presence {
  readonly records: number
  readonly present: number
}

/** The shape that records had so far, by what was published. Paths are keys. */
export interface KnownShape {
  /** Every field that records were seen with, of any client; nothing before the first publication. */
  readonly fields: ReadonlySet<string> | undefined
  /** Types that a field that is read has had, of any client. */
  readonly types: ReadonlyMap<string, ReadonlySet<FieldType>>
  /** Undeclared values that were published around, as JSON text, of any client. */
  readonly values: ReadonlyMap<string, ReadonlySet<string>>
  /** How often a field that is read was there lately, for one client: what an account does not use, its records do not carry. */
  readonly presence: ReadonlyMap<string, Presence>
}

/** What is different in the records of a chunk. */
export function driftsOf(shape: Shape, known: KnownShape): Drift[] {
  const reads = shape.reads()
  return [...addedFields(shape, known, reads), ...changedFields(reads, known), ...addedValues(shape, known, reads)]
}

function* addedFields(shape: Shape, { fields }: KnownShape, reads: readonly ReadField[]): Generator<Drift> {
  if (fields === undefined || fields.size >= MOST_FIELDS) return
  const { looked, counts } = shape.fields()
  for (const [path, count] of counts) {
    if (fields.has(path) || reads.some(read => isWithin(path, read.path) || isWithin(read.path, path))) continue
    // Only null so far, or null now: the fields below it are known.
    if ([...fields].some(field => isWithin(field, path))) continue
    yield { change: 'added', path, value: '', count, records: looked, before: 'never seen' }
  }
}

/** Whether a path is the other one, or leads on from it. */
function isWithin(path: string, other: string): boolean {
  return path === other || path.startsWith(`${other}.`)
}

function* changedFields(reads: readonly ReadField[], known: KnownShape): Generator<Drift> {
  for (const read of reads) {
    const { path } = read
    const now = presenceOf(read)
    const before = known.presence.get(path)
    if (before !== undefined && isMissed(now, before)) {
      const lacked = `absent in ${before.records - before.present} of ${before.records}`
      yield { change: 'missing', path, value: '', count: now.records - now.present, records: now.records, before: lacked }
    }
    const types = known.types.get(path)
    if (types === undefined) continue
    for (const [type, count] of presentTypes(read)) {
      if (types.has(type)) continue
      yield { change: 'type_changed', path, value: type, count, records: now.records, before: [...types].join(', ') }
    }
  }
}

function* addedValues(shape: Shape, known: KnownShape, reads: readonly ReadField[]): Generator<Drift> {
  const [first] = reads
  const records = first === undefined ? 0 : presenceOf(first).records
  for (const [path, values] of shape.values()) {
    const told = known.values.get(path)
    if (told !== undefined && told.size >= MOST_VALUES) continue
    for (const [text, count] of values) {
      const value = text.slice(0, 100)
      if (!told?.has(value)) yield { change: 'value_added', path, value, count, records, before: 'not declared' }
    }
  }
}

function presentTypes({ types }: ReadField): [FieldType, number][] {
  return (Object.entries(types) as [FieldType, number][]).filter(([type]) => type !== 'absent')
}

function presenceOf(read: ReadField): Presence {
  const present = presentTypes(read).reduce((sum, [, count]) => sum + count, 0)
  return { records: present + (read.types.absent ?? 0), present }
}

/** How unlikely, as a natural logarithm, mere chance must be before anybody is told: once in 10,000 times. */
const BEYOND_CHANCE = Math.log(10_000)

/**
 * Whether a field is gone, or there in a share of the records that is smaller by more than a half, and chance does not explain it: a few records,
 * now or before, or a field that was rare anyway prove nothing. What was always there, as seldom as that was, counts as almost always (Laplace's
 * rule); Chernoff's bound says how likely so few would be then. A field of every record is missed from 9 records on where there were
 * 9 before, from 3 where there were 100.
 */
function isMissed(now: Presence, before: Presence): boolean {
  if (now.records === 0 || before.records === 0) return false
  const share = now.present / now.records
  if (now.present > 0 && before.present / before.records - share <= 0.5) return false
  const expected = (before.present + 1) / (before.records + 2)
  const evidence = (now.records * before.records) / (now.records + before.records)
  return share < expected && evidence * (divergence(share, expected) + divergence(1 - share, 1 - expected)) > BEYOND_CHANCE
}

function divergence(share: number, expected: number): number {
  return share === 0 ? 0 : share * Math.log(share / expected)
}

/** Records that are remembered of a client, about: what came long ago weighs less and less. */
const REMEMBERED = 10_000

/** What is known after a publication: whatever it brought is the shape from now on. */
export function learn(
  known: KnownShape,
  { fields, reads, drifts }: { fields: readonly string[]; reads: readonly ReadField[]; drifts: readonly Drift[] },
): KnownShape {
  const told = (change: Change): Drift[] => drifts.filter(drift => drift.change === change)
  const missing = new Set(told('missing').map(({ path }) => path))
  const presence = new Map(known.presence)
  for (const read of reads) {
    const now = presenceOf(read)
    const before = missing.has(read.path) ? undefined : known.presence.get(read.path)
    if (now.records > 0) presence.set(read.path, before === undefined ? now : added(now, before))
  }
  return {
    fields: new Set([...new Set([...(known.fields ?? []), ...fields])].slice(0, MOST_FIELDS)),
    types: united(
      known.types,
      reads.flatMap(read => presentTypes(read).map(([type]) => [read.path, type])),
    ),
    values: united(
      known.values,
      told('value_added').map(({ path, value }) => [path, value]),
    ),
    presence,
  }
}

function added(now: Presence, before: Presence): Presence {
  const kept = Math.min(1, REMEMBERED / before.records)
  return {
    records: now.records + Math.round(before.records * kept),
    present: now.present + Math.round(before.present * kept),
  }
}

function united<T>(sets: ReadonlyMap<string, ReadonlySet<T>>, more: readonly (readonly [string, T])[]): Map<string, Set<T>> {
  const union = new Map([...sets].map(([path, set]) => [path, new Set(set)]))
  for (const [path, one] of more) union.set(path, (union.get(path) ?? new Set<T>()).add(one))
  return union
}

/** Drifts that are named in one message; others are only counted. */
const MOST_TOLD = 10

/** Drifts as one sentence. */
export function driftsText(drifts: readonly Drift[]): string {
  const more = drifts.length > MOST_TOLD ? `; and ${drifts.length - MOST_TOLD} more` : ''
  return drifts.slice(0, MOST_TOLD).map(driftText).join('; ') + more
}

/** A drift as one clause. */
export function driftText({ change, path, value, count, records, before }: Drift): string {
  const share = `${count} of ${records} records`
  switch (change) {
    case 'added':
      return `${path} is in ${share} looked at, ${before}; no column reads it`
    case 'missing':
      return `${path} is absent in ${share}, before ${before}`
    case 'type_changed':
      return `${path} is of type ${value} in ${share}, before ${before}`
    case 'value_added':
      return `${path} is ${value} in ${share}, ${before}`
  }
}
