import type { Chunk } from '../chunk.ts'
import type { CompiledPipeline } from '../compile.ts'
import type { Drift } from './drift.ts'
import { Shape } from './shape.ts'
import { type SourceTotal, SourceTotals } from './source-totals.ts'
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
  readonly source: SourceTotals
  /** Known once everything is read. */
  sourceTotals: readonly SourceTotal[] = []

  constructor({ pipeline: { table, totals, map }, sourceColumns }: CompiledPipeline, chunk: Chunk) {
    this.summary = new ChunkSummary(table, totals)
    this.shape = new Shape(map)
    this.source = new SourceTotals(sourceColumns, chunk)
  }
}
