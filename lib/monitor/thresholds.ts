/**
 * From when on a monitor speaks, in one table: default, bounds, and what it does. A pipeline may say otherwise with `thresholds`.
 * `docs/monitoring.md` lists the same; a test compares.
 */
export const THRESHOLDS = {
  leastRows: { default: 20, min: 1, max: 1_000_000_000, means: 'Rows that must be concerned; of fewer, nobody is told.' },
  deviations: { default: 5, min: 1, max: 100, means: 'Standard deviations from what is expected.' },
  share: { default: 0.2, min: 0, max: 10, means: 'Share of what is expected that one client must be off by.' },
  shareOfAll: { default: 0.1, min: 0, max: 10, means: 'The same for all clients together.' },
  nullsShare: { default: 0.05, min: 0, max: 1, means: 'Share of the rows that must be null, or no longer null, in one column.' },
  stabilityIndex: { default: 0.25, min: 0, max: 10, means: 'Population stability index of the declared values of a column.' },
  rangeFactor: { default: 10, min: 1, max: 1_000_000, means: 'Times the largest number that a column ever had.' },
  rejectsShare: { default: 0.001, min: 0, max: 1, means: 'Share of the rows of a day that must be rejected.' },
  quotaShare: { default: 0.1, min: 0, max: 1, means: 'Share of a quota of which less must be left.' },
  budgetShare: { default: 0.8, min: 0.01, max: 1, means: 'Share of the bytes of a month that must be billed.' },
  staleShare: { default: 0.1, min: 0, max: 1, means: 'Share of the clients that must be late before the whole pipeline is.' },
} as const satisfies Readonly<Record<string, { default: number; min: number; max: number; means: string }>>

/** A value for every threshold. */
export type Thresholds = { readonly [K in keyof typeof THRESHOLDS]: number }

/** Fills in defaults. */
export function resolveThresholds(given: Partial<Thresholds> = {}): Thresholds {
  const defaults = Object.entries(THRESHOLDS).map(([name, { default: standard }]) => [name, standard])
  return { ...Object.fromEntries(defaults), ...given }
}

/** What is wrong with thresholds, each as one clause. */
export function* thresholdProblems(thresholds: Thresholds): Generator<string> {
  for (const [name, value] of Object.entries(thresholds)) {
    const bounds = Object.entries(THRESHOLDS).find(([known]) => known === name)?.[1]
    if (bounds === undefined) yield `thresholds.${name} is not a threshold`
    else if (!(value >= bounds.min && value <= bounds.max)) {
      yield `thresholds.${name} ${value} is not from ${bounds.min} to ${bounds.max}`
    }
  }
}
