import type { FaultPoint } from '../../lib/attempt/attempt.ts'
import { RESTATING, restatingPipeline } from './restating.ts'
import { run } from './run.ts'

// A process of its own that backfills one version of an API, and that kills itself (SIGKILL) when it comes to the given place for the third time.
// Arguments: folder, version, last day, place (or "none").

const [folder = '', version = '', to = '', place = 'none'] = process.argv.slice(2)
let times = 0
const result = await run({
  folder,
  ...RESTATING,
  to,
  pipeline: restatingPipeline(version),
  settings: { concurrency: 2, groupChunks: 2 },
  fault: (point: FaultPoint) => {
    if (point === place && ++times === 3) process.kill(process.pid, 'SIGKILL')
  },
})
process.exit(result.exitCode)
