import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import type { FaultPoint } from '../lib/attempt/attempt.ts'
import { crashExpected } from './support/crash.ts'
import { rows } from './support/run.ts'

/** Real processes, really killed (SIGKILL), at every place of the path and at any moment; then the same command again. */

const CHILD = fileURLToPath(new URL('support/crash-child.ts', import.meta.url))

function start(folder: string, place: FaultPoint | 'none', lives = 0): ChildProcess {
  return spawn(process.execPath, [CHILD, folder, place, String(lives)], { stdio: 'inherit' })
}

function ended(child: ChildProcess): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  return new Promise(resolve => child.once('exit', (code, signal) => resolve({ code, signal })))
}

async function assertExact(t: Test, folder: string): Promise<void> {
  const { rows: count, rejects, clicks, cost } = crashExpected()
  const [found] = await rows(
    folder,
    'SELECT count(*) AS rows, count(DISTINCT (client_id, date, campaign_id)) AS keys, sum(clicks)::BIGINT AS clicks, sum(cost)::VARCHAR AS cost FROM ads.campaigns',
  )
  t.same(found, { rows: String(count), keys: String(count), clicks: String(clicks), cost }, 'the table is exact')
  const [refused] = await rows(folder, 'SELECT count(*) AS rejects FROM ads.campaigns_rejects')
  t.same(refused, { rejects: String(rejects) }, 'so are the rejects')
  t.same(
    readdirSync(join(folder, 'warehouse.duckdb.staging')).filter(name => name.endsWith('.csv')),
    [],
    'nothing is left in staging',
  )
}

const places: readonly (readonly [FaultPoint, number])[] = [
  ['claimed', 0],
  ['claimed', 4],
  ['page', 0],
  ['page', 9],
  ['batch', 0],
  ['batch', 5],
  ['staged', 0],
  ['staged', 3],
  ['committing', 0],
  ['committing', 5],
  ['committed', 0],
  ['committed', 4],
  ['recorded', 0],
  ['recorded', 11],
]

for (const [place, lives] of places) {
  t.test(`killed at "${place}" (the ${lives + 1}. time), the same command finishes the work exactly`, async t => {
    const folder = t.testdir()
    t.same(await ended(start(folder, place, lives)), { code: null, signal: 'SIGKILL' }, 'it was killed')
    t.same(await ended(start(folder, 'none')), { code: 0, signal: null }, 'the second process ends well')
    await assertExact(t, folder)
  })
}

t.test('killed again and again, at any moment, it still ends exact', async t => {
  const folder = t.testdir()
  for (let round = 0; round < 8; round++) {
    const child = start(folder, 'none')
    const end = ended(child)
    // A moment between the start of the process and its end, drawn anew each time; the outcome must not depend on it.
    const timer = setTimeout(() => child.kill('SIGKILL'), 250 + Math.random() * 700)
    await end
    clearTimeout(timer)
  }
  t.same(await ended(start(folder, 'none')), { code: 0, signal: null })
  await assertExact(t, folder)
})
