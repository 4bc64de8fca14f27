import type { Pipeline } from '../pipeline.ts'
import type { Drift } from './drift.ts'
import { Shape } from './shape.ts'
import { ChunkSummary } from './summary.ts'

/** One reading of a chunk: what was counted on the way. */
export class Tally {
  pages = 0
  extracted = 0
  stagedRows = 0
  rejected = 0
  deduplicated = 0
  bytes = 0
  readonly rejectedBy = new Map<string, number>()
  readonly summary: ChunkSummary
  readonly shape: Shape
  /** Known once everything is read. */
  drifts: readonly Drift[] = []

  constructor({ table, totals, map }: Pick<Pipeline, 'table' | 'totals' | 'map'>) {
    this.summary = new ChunkSummary(table, totals)
    this.shape = new Shape(map)
  }
}
