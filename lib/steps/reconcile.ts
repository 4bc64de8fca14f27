import { chunkText } from '../chunk.ts'
import { DataError } from '../errors.ts'
import { divergence, type Member, type Publication } from '../warehouse/warehouse.ts'

/** Compares what the table holds after a commit with what was committed; throws `RECONCILE_DIVERGED` when they differ. */
export function reconcile(member: Member, { present }: Publication): void {
  const differences = divergence(member, present)
  if (differences.length === 0) return
  throw new DataError('RECONCILE_DIVERGED', {
    message: `${chunkText(member.chunk)}: ${differences.slice(0, 5).join('; ')}`,
    hint: 'The commit was right and the table has changed since: something else writes to it. Stop it, then run the chunk again.',
  })
}
