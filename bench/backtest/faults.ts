import { addDays, daysOf, type Window } from '../../lib/chunk.ts'

/** What can go wrong with the days of an airport without any error. */
export const FAULTS = {
  drop: 'a part of the rows is not there',
  duplicates: 'a part of the rows is there twice',
  shift: 'the rows are those of the day before, day after day',
  nulls: 'a column is null in a part of the rows',
  missing: 'the day is not published at all',
  repeat: 'the source stands still: the last day again and again',
  partial: 'the day was read before its evening',
  zero: 'the day is published without a row',
} as const

/** Kind of a fault. */
export type FaultKind = keyof typeof FAULTS

/** One fault: what, where, when, and how much of it. */
export interface Fault {
  readonly kind: FaultKind
  readonly airports: readonly string[]
  readonly window: Window
  /** Share of the rows that are lost, doubled or null; for `partial`, the hour at which the day was read. */
  readonly size: number
}

/** Numbers from 0 to below 1 that depend on the seed alone (the generator of Tommy Ettinger, mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/**
 * Faults at random places and of random sizes, as many of each kind, one to three days long, at days of their own: six of ten hit one airport, three a tenth of them, one all. Which airport it
 * is does not depend on its size.
 */
export function faultsOf(seed: number, count: number, airports: readonly string[], within: Window): Fault[] {
  const random = randomOf(seed)
  const free = new Set(daysOf(within))
  const kinds = Object.keys(FAULTS) as FaultKind[]
  return Array.from({ length: count }, (_, index): Fault => {
    const kind = kinds[index % kinds.length] ?? 'drop'
    const length = kind === 'partial' ? 1 : 1 + Math.floor(random() * 3)
    const days = [...free]
    let window: Window
    do {
      const from = days[Math.floor(random() * days.length)] ?? within.from
      window = { from, to: addDays(from, length - 1) }
    } while (!daysOf(window).every(day => free.has(day)))
    for (const day of daysOf(window)) free.delete(day)
    const scope = random()
    const first = airports[Math.floor(random() * airports.length)] ?? ''
    const share = scope < 0.6 ? 0 : scope < 0.9 ? 0.1 : 1
    const hit = airports.filter(airport => airport === first || random() < share)
    return { kind, airports: hit, window, size: kind === 'partial' ? 6 + Math.floor(random() * 15) : 0.1 + 0.8 * random() }
  })
}

/** The statements that do a fault to the table `flights`. None for a day that is not published: that is no matter of rows. */
export function statementsOf({ kind, airports, window: { from, to }, size }: Fault, index: number): string[] {
  const origins = `origin IN (${airports.map(airport => `'${airport}'`).join(', ')})`
  const where = `${origins} AND day BETWEEN DATE '${from}' AND DATE '${to}'`
  const part = `hash(n, ${index}) % 10000 < ${Math.round(size * 10_000)}`
  const before = addDays(from, -1)
  switch (kind) {
    case 'missing':
      return []
    case 'zero':
      return [`DELETE FROM flights WHERE ${where}`]
    case 'drop':
      return [`DELETE FROM flights WHERE ${where} AND ${part}`]
    case 'partial':
      return [`DELETE FROM flights WHERE ${where} AND hour >= ${size}`]
    case 'duplicates':
      return [`INSERT INTO flights SELECT * FROM flights WHERE ${where} AND ${part}`]
    case 'nulls':
      return [`UPDATE flights SET destination = NULL WHERE ${where} AND ${part}`]
    case 'shift':
      return [
        `CREATE OR REPLACE TEMP TABLE moved AS SELECT * REPLACE (day + 1 AS day) FROM flights WHERE ${origins} AND day BETWEEN DATE '${before}' AND DATE '${addDays(to, -1)}'`,
        `DELETE FROM flights WHERE ${where}`,
        'INSERT INTO flights SELECT * FROM moved',
      ]
    case 'repeat':
      return [
        `DELETE FROM flights WHERE ${where}`,
        ...daysOf({ from, to }).map(
          day =>
            `INSERT INTO flights SELECT * REPLACE (DATE '${day}' AS day) FROM flights WHERE ${origins} AND day = DATE '${before}'`,
        ),
      ]
  }
}
