/**
 * The states of a chunk, and which may follow which. This is the only place that names them; `docs/concepts.md` draws it.
 *
 *   pending --> running --> staged --> published
 *      ^           |           |-----> unchanged
 *      |           |-----------|-----> held       a person decides
 *      |           |-----------|-----> failed     every try failed
 *      |           |-----------|-----> parked     not before a time
 *      |-----------+-----------+       another try, in two halves where the window was too large, or taken over from a dead process
 *
 * Taking up a run again makes held, failed and parked chunks pending; a new run has chunks of its own.
 */
export const NEXT_STATES = {
  pending: ['running'],
  running: ['staged', 'pending', 'held', 'failed', 'parked', 'running'],
  staged: ['staged', 'published', 'unchanged', 'pending', 'held', 'failed', 'parked', 'running'],
  parked: ['running', 'pending'],
  published: [],
  unchanged: [],
  held: ['pending'],
  failed: ['pending'],
} as const satisfies Readonly<Record<string, readonly string[]>>

/** Where a chunk stands. */
export type ChunkState = keyof typeof NEXT_STATES

/** All states, in the order people read them. */
export const CHUNK_STATES = Object.keys(NEXT_STATES) as ChunkState[]

/** States in which nothing more happens to a chunk in its run. */
export const SETTLED_STATES = ['published', 'unchanged', 'held', 'failed', 'parked'] as const satisfies readonly ChunkState[]

/** States in which an attempt is under way. */
export const ACTIVE_STATES = ['running', 'staged'] as const satisfies readonly ChunkState[]

/** States that somebody or something has to get a chunk out of. */
export const PROBLEM_STATES = ['held', 'failed', 'parked'] as const satisfies readonly ChunkState[]

/** The states from which a chunk may come to the given one. */
export function statesBefore(state: ChunkState): ChunkState[] {
  return CHUNK_STATES.filter(from => (NEXT_STATES[from] as readonly ChunkState[]).includes(state))
}

/** States as a list for SQL's `IN (…)`; they are constants of this file, never input. */
export function sqlList(states: readonly ChunkState[]): string {
  return states.map(state => `'${state}'`).join(', ')
}
