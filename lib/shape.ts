/** Levels that are entered, as many as a path of a mapping has. */
const MOST_LEVELS = 6

/** Fields of one record that are remembered, at most; a record keyed by data rather than by names must not grow the ledger. */
const MOST_FIELDS = 500

/**
 * The fields that the records of a chunk have, by dotted path. Only the first record of each page is looked at: enough to notice a new field,
 * cheap enough to do always. Arrays are not entered.
 */
export class Shape {
  readonly #fields = new Set<string>()

  observe(page: readonly unknown[]): void {
    this.#collect(page[0], '', 1)
  }

  #collect(value: unknown, prefix: string, level: number): void {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return
    for (const [name, field] of Object.entries(value)) {
      if (this.#fields.size >= MOST_FIELDS) return
      const path = prefix + name
      const entered = typeof field === 'object' && field !== null && !Array.isArray(field) && level < MOST_LEVELS
      if (entered) this.#collect(field, `${path}.`, level + 1)
      else this.#fields.add(path)
    }
  }

  /** All paths seen, sorted. */
  fields(): string[] {
    return [...this.#fields].sort()
  }
}
