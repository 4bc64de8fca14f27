import type { AnyExpr } from '../pipeline.ts'
import type { Reject } from '../row.ts'

/** Levels that are entered, as many as a path of a mapping has. */
const MOST_LEVELS = 6

/** Fields that are remembered, at most; a record keyed by data rather than by names must not grow the ledger. */
export const MOST_FIELDS = 500

/** Values of one column that are remembered, at most: what has more of them is not a list of names. */
export const MOST_VALUES = 20

/** What the value of a field can be, in the words of JSON; `absent` is also a null. */
export const FIELD_TYPES = ['absent', 'string', 'number', 'boolean', 'object', 'array'] as const

/** The type of a field's value. */
export type FieldType = (typeof FIELD_TYPES)[number]

/** The place of a value's type in `FIELD_TYPES`. What JSON cannot hold counts as an object. */
export function typeIndex(value: unknown): number {
  if (typeof value === 'string') return 1
  if (typeof value === 'number') return 2
  if (value === undefined || value === null) return 0
  if (typeof value === 'boolean') return 3
  if (typeof value === 'bigint') return 2
  return Array.isArray(value) ? 5 : 4
}

/** The paths that a mapping reads, each once; their order is that of the counts in a `Shape`. */
export function readPaths(map: Readonly<Record<string, Pick<AnyExpr, 'path'>>>): string[] {
  return [...new Set(Object.values(map).flatMap(({ path }) => path ?? []))]
}

/** How often a field that is read had which type, over every record of a chunk; types that did not occur are left out. */
export interface ReadField {
  readonly path: string
  readonly types: Readonly<Partial<Record<FieldType, number>>>
}

/** A field that records carry, and in how many of those that were looked at. */
interface SeenField {
  count: number
  readonly inner: Map<string, SeenField>
}

/**
 * What the records of a chunk look like. Fields that a column reads are counted in every record, by type, by the mapping itself. Fields that none
 * reads are looked for in three records of each page: enough to notice a new one, cheap enough to do always. Arrays are not entered.
 */
export class Shape {
  /** Counts of `FIELD_TYPES` for one path after the other; the map step adds to them. */
  readonly types: Float64Array
  readonly #map: Readonly<Record<string, Pick<AnyExpr, 'path'>>>
  readonly #paths: readonly string[]
  readonly #seen = new Map<string, SeenField>()
  readonly #values = new Map<string, Map<string, number>>()
  #fields = 0
  #looked = 0

  constructor(map: Readonly<Record<string, Pick<AnyExpr, 'path'>>>) {
    this.#map = map
    this.#paths = readPaths(map)
    this.types = new Float64Array(this.#paths.length * FIELD_TYPES.length)
  }

  /** Looks at the first, the middle and the last record of a page. */
  observe(page: readonly unknown[]): void {
    for (const index of new Set([0, page.length >> 1, page.length - 1])) {
      const record = page[index]
      if (!isEntered(record)) continue
      this.#looked++
      this.#look(record, this.#seen, 1)
    }
  }

  #look(of: object, seen: Map<string, SeenField>, level: number): void {
    for (const [name, value] of Object.entries(of)) {
      let field = seen.get(name)
      if (field === undefined) {
        if (this.#fields === MOST_FIELDS) continue
        this.#fields++
        field = { count: 0, inner: new Map() }
        seen.set(name, field)
      }
      if (level < MOST_LEVELS && isEntered(value)) this.#look(value, field.inner, level + 1)
      else field.count++
    }
  }

  /** Remembers values that a column did not declare. */
  refused(rejects: readonly Reject[]): void {
    for (const { rule, column, value } of rejects) {
      if (rule !== 'enum' || column === null || value === null) continue
      // A custom expression reads no single field: its values are told of the column.
      const path = this.#map[column]?.path ?? column
      const values = this.#values.get(path) ?? new Map<string, number>()
      this.#values.set(path, values)
      if (values.size < MOST_VALUES || values.has(value)) values.set(value, (values.get(value) ?? 0) + 1)
    }
  }

  /** Paths of the fields seen, sorted, and in how many of the records that were looked at. */
  fields(): { readonly looked: number; readonly counts: ReadonlyMap<string, number> } {
    const counts: [path: string, count: number][] = []
    const collect = (seen: ReadonlyMap<string, SeenField>, prefix: string): void => {
      for (const [name, { count, inner }] of seen) {
        if (count > 0) counts.push([prefix + name, count])
        collect(inner, `${prefix}${name}.`)
      }
    }
    collect(this.#seen, '')
    return { looked: this.#looked, counts: new Map(counts.sort(([a], [b]) => (a < b ? -1 : 1))) }
  }

  /** The fields that are read, in the order of the mapping. */
  reads(): ReadField[] {
    return this.#paths.map((path, place) => ({
      path,
      types: Object.fromEntries(
        FIELD_TYPES.flatMap((type, index) => {
          const count = this.types[place * FIELD_TYPES.length + index] ?? 0
          return count === 0 ? [] : [[type, count]]
        }),
      ),
    }))
  }

  /** Values that no column declares, as JSON text, by path, and how often each came. */
  values(): ReadonlyMap<string, ReadonlyMap<string, number>> {
    return this.#values
  }
}

function isEntered(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
