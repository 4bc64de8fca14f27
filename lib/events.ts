import type { Chunk, Window } from './chunk.ts'
import type { HeadraceError, WarningName } from './errors.ts'
import type { AttemptSummary, Restatement, Run, RunProgress } from './ledger/ledger.ts'
import type { ChunkState } from './ledger/states.ts'

/** What a run tells whoever watches it, as it happens. */
export type RunEvent =
  | { readonly type: 'started'; readonly run: Run; readonly progress: RunProgress }
  | { readonly type: 'page'; readonly records: number }
  | { readonly type: 'warning'; readonly name: WarningName; readonly message: string; readonly chunk: Chunk | null }
  | { readonly type: 'retry'; readonly chunk: Chunk; readonly error: HeadraceError; readonly waitMs: number }
  | {
      readonly type: 'chunk'
      readonly chunk: Chunk
      readonly state: ChunkState
      readonly summary: AttemptSummary | null
      readonly restatements: readonly Restatement[]
      readonly error: HeadraceError | null
      /** Windows of the chunks that took its place; none where it is still there. */
      readonly parts: readonly Window[]
    }
  | { readonly type: 'draining'; readonly underWay: number }

/** Takes events; must not throw. */
export type Observer = (event: RunEvent) => void
