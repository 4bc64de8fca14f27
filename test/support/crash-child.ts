import type { FaultPoint } from '../../lib/attempt/attempt.ts'
import { crashPipeline, crashWindow } from './crash.ts'
import { run } from './run.ts'

// A process of its own that backfills, and that kills itself (SIGKILL) at the given place, the given time it comes there.
// Arguments: folder, place (or "none"), times it lives through it, a file for lineage (or none).

const [folder = '', place = 'none', lives = '0', file] = process.argv.slice(2)
let left = Number(lives)
const result = await run({
  folder,
  ...crashWindow,
  pipeline: crashPipeline(),
  settings: { concurrency: 2, groupChunks: 3 },
  ...(file === undefined ? {} : { lineage: { file } }),
  fault: (point: FaultPoint) => {
    if (point === place && left-- === 0) process.kill(process.pid, 'SIGKILL')
  },
})
process.exit(result.exitCode)
