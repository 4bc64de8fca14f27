import { fork, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'

/**
 * Peak memory of the backfill process for very different amounts of data: it must not depend on them. The rows are the flights of the demo, of
 * all 229 airports, the settings are the defaults; each size runs in a process of its own, which reports its peak resident set when it ends.
 */

const SIZES = [
  { name: '1 day', from: '2001-01-02', to: '2001-01-02' },
  { name: '35 days', from: '2001-01-01', to: '2001-02-04' },
  { name: '6 months', from: '2001-01-01', to: '2001-07-01' },
]
const RUNS = Number(process.env.RUNS ?? 3)

const path = (file: string): string => fileURLToPath(new URL(file, import.meta.url))

const api = fork(path('../examples/demo/server.ts'), ['--faults', '0'])
const { port } = await new Promise<{ port: number }>(resolve =>
  api.once('message', message => resolve(message as { port: number })),
)

/** Rows published and peak memory in MB of one backfill. */
async function run(from: string, to: string): Promise<{ rows: number; peak: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'headrace-memory-'))
  const words = ['backfill', '--pipeline', 'flights', '--from', from, '--to', to, '--json']
  const child = spawn(process.execPath, ['--import', path('peak.ts'), path('../bin/headrace.ts'), ...words], {
    stdio: ['ignore', 'pipe', 'ignore', 'pipe'],
    env: {
      ...process.env,
      DEMO_API: `http://127.0.0.1:${port}`,
      DEMO_FOLDER: folder,
      HEADRACE_CONFIG: path('../examples/demo/headrace.config.ts'),
    },
  })
  const [out, peak] = await Promise.all(
    [child.stdio[1], child.stdio[3]].map(async stream => {
      if (!(stream instanceof Readable)) throw new Error('the process has no output')
      return String(Buffer.concat(await stream.toArray()))
    }),
  )
  rmSync(folder, { recursive: true })
  const { exitCode, states } = JSON.parse(out ?? '')
  if (exitCode !== 0) throw new Error(`the backfill ended with ${exitCode}`)
  return { rows: states.published.inserted, peak: Number(peak) / 1_000 }
}

const results: { rows: number; peaks: number[] }[] = SIZES.map(() => ({ rows: 0, peaks: [] }))
for (let round = 0; round < RUNS; round++) {
  for (const [index, { from, to }] of SIZES.entries()) {
    const { rows, peak } = await run(from, to)
    results[index]?.peaks.push(peak)
    if (results[index] !== undefined) results[index].rows = rows
  }
}
api.kill()

const median = (numbers: readonly number[]): number => [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN
const medians = results.map(({ peaks }) => median(peaks))
console.log(`Node ${process.version}, ${RUNS} runs each, peak resident memory of the backfill process`)
console.table(
  Object.fromEntries(
    SIZES.map(({ name }, index) => [
      name,
      {
        rows: results[index]?.rows,
        'median MB': Math.round(medians[index] ?? 0),
        'of the smallest': ((medians[index] ?? 0) / Math.min(...medians)).toFixed(2),
        runs: results[index]?.peaks.map(Math.round).join(' '),
      },
    ]),
  ),
)
