import { bufferName, type TableEntry, tableName } from './catalogue.ts'
import type { Context } from './context.ts'

/** How long streamed rows stay where nothing can change them. */
const BUFFERED_MS = 30 * 60_000

/** Moves rows that were streamed half an hour ago into their tables. */
export async function flushBuffers(context: Context): Promise<void> {
  const { catalogue, clock } = context
  const entries = catalogue.datasets.flatMap(({ tables }) => [...tables.values()])
  for (const entry of entries) {
    if (entry.buffer === undefined || clock.now() - entry.buffer.since < BUFFERED_MS) continue
    // Whoever comes meanwhile waits for the same rows to be moved.
    entry.buffer.moved ??= move(context, entry)
    await entry.buffer.moved
  }
}

async function move({ duck }: Context, entry: TableEntry): Promise<void> {
  await duck.use(async session => {
    await session.run('BEGIN')
    await session.run(`INSERT INTO ${tableName(entry.id)} SELECT * FROM ${bufferName(entry.id)}`)
    await session.run(`DROP TABLE ${bufferName(entry.id)}`)
    await session.run('COMMIT')
  })
  entry.buffer = undefined
}
