import type { LimitState, Pace } from '../pace/pace.ts'

/** What the answers of one attempt said is left of quotas that have a name. */
export class Quotas {
  readonly #left = new Map<string, number>()

  /** The same pace, with an ear on how tries end. */
  heard({ acquire }: Pace): Pace {
    return {
      acquire: async (request, signal) => {
        const permit = await acquire(request, signal)
        return {
          done: outcome => {
            for (const state of outcome.limits ?? []) this.#note(state)
            permit.done(outcome)
          },
        }
      },
    }
  }

  /** By name, the least share that was left, 0 to 1. */
  lowest(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#left)
  }

  #note({ name, usedRatio, remaining, limit }: LimitState): void {
    if (name === undefined) return
    const left = usedRatio === undefined ? (remaining ?? Number.NaN) / (limit ?? Number.NaN) : 1 - usedRatio
    // What is left of nobody knows how much has no share.
    if (Number.isFinite(left)) this.#left.set(name, Math.min(this.#left.get(name) ?? 1, Math.max(0, left)))
  }
}
