import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import type { RunEvent } from '../../lib/lineage/events.ts'
import { eventsIn } from './events.ts'

const CHILD = fileURLToPath(new URL('../support/crash-child.ts', import.meta.url))
const run = promisify(execFile)

/** Which client and days an event is about. */
function chunkOf({ run: { facets } }: RunEvent): string {
  return JSON.stringify([facets.nominalTime, Object(facets.tags).tags[0]])
}

t.test(
  'a killed process leaves attempts that began and never end; the next process tells of the same days as attempts of its own',
  async t => {
    const folder = t.testdir()
    const file = join(folder, 'lineage.jsonl')
    const killed: { signal?: string } = await run(process.execPath, [CHILD, folder, 'staged', '3', file]).catch(error => error)
    t.equal(killed.signal, 'SIGKILL')
    await run(process.execPath, [CHILD, folder, 'none', '0', file])
    const events = eventsIn(file)
    const attempts = [...Map.groupBy(events, ({ run: { runId } }) => runId).values()]
    const types = (attempt: readonly RunEvent[]): string => attempt.map(({ eventType }) => eventType).join(' ')
    const open = attempts.filter(attempt => types(attempt) === 'START')
    const ended = attempts.filter(attempt => types(attempt) === 'START COMPLETE')
    t.ok(open.length > 0, `${open.length} began and never ended`)
    t.equal(open.length + ended.length, attempts.length, 'no attempt ends twice, or without having begun')
    const complete = new Set(ended.flat().map(chunkOf))
    t.equal(complete.size, 12, 'every chunk was published in the end')
    t.ok(open.flat().every(event => complete.has(chunkOf(event))))
  },
)
