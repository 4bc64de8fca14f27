import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { DuckDBInstance } from '@duckdb/node-api'
import t from 'tap'
import { daysOf } from '../../lib/chunk.ts'
import type { Ledger } from '../../lib/ledger/ledger.ts'
import { readiness } from '../../lib/standing/readiness.ts'
import { clicksOf, RESTATING, ROWS, restatingPipeline } from '../support/restating.ts'
import { openLedger } from '../support/run.ts'

/**
 * Real processes publish, restate, hold and are killed, on a real DuckDB file and a real ledger, while a reader asks without pause whether the table is ready,
 * and whenever it is, reads the table.
 */

const CHILD = fileURLToPath(new URL('../support/restating-child.ts', import.meta.url))

/** Each a process: the version of the API it reads, through which day, where it is killed, and how it ends. */
const STEPS: readonly (readonly [version: string, to: string, place: string, ends: number | 'SIGKILL'])[] = [
  ['v', '2026-03-04', 'staged', 'SIGKILL'],
  ['v', '2026-03-04', 'committed', 'SIGKILL'],
  ['v', '2026-03-04', 'none', 0],
  ['v2', '2026-03-04', 'committing', 'SIGKILL'],
  ['v2', '2026-03-04', 'committed', 'SIGKILL'],
  ['v2', '2026-03-04', 'none', 0],
  ['lost', '2026-03-04', 'none', 42],
  ['v.4', '2026-03-04', 'none', 0],
  ['v...5', '2026-03-06', 'committed', 'SIGKILL'],
  ['v...5', '2026-03-06', 'none', 0],
]

/** Clicks that a day of a client may have: those of every version, but for the one in which the rows of `b` are lost. */
function clicksFor(client: string): number[] {
  return STEPS.map(([version]) => version)
    .filter(version => version !== 'lost' || client !== 'b')
    .map(clicksOf)
}

/** What an answer may be taken back for, counted. */
async function recorded(ledger: Ledger): Promise<{ restated: number; held: number; runs: number }> {
  const problems = await ledger.problems('campaigns', undefined, 1_000)
  return {
    restated: (await ledger.restatements('campaigns', 1_000)).length,
    held: problems.filter(({ state }) => state === 'held').length,
    runs: (await ledger.runs({}, 1_000)).length,
  }
}

/** Whether a day of a client holds all of its rows, and all of one version. */
function isWhole(client: string, clicks: readonly number[] = []): boolean {
  const [first = 0] = clicks
  return clicks.length === ROWS && clicks.every(one => one === first) && clicksFor(client).includes(first)
}

/** Clicks of each row, by client and day, as anybody would read the table; undefined while another process has the file. */
async function table(folder: string): Promise<Map<string, readonly number[]> | undefined> {
  const path = join(folder, 'warehouse.duckdb')
  if (!existsSync(path)) return new Map()
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  try {
    await connection.run(`ATTACH '${path}' AS w (READ_ONLY)`)
    const reader = await connection.runAndReadAll(
      'SELECT client_id, date::VARCHAR AS day, list(clicks::INTEGER) AS clicks FROM w.ads.campaigns GROUP BY ALL',
    )
    return new Map(reader.getRowsJson().map(([client, day, clicks]) => [`${client} ${day}`, [clicks].flat().map(Number)]))
  } catch (error) {
    if (error instanceof Error && /lock|does not exist/i.test(error.message)) return undefined
    throw error
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

t.test('ready is never said before the rows can be read, and never taken back but for something that is recorded', async t => {
  const folder = t.testdir()
  const ledger = openLedger(folder)
  t.teardown(() => ledger.close())
  const clients = RESTATING.clients.map(id => ({ id, timeZone: 'UTC' }))
  const declared = { pipeline: restatingPipeline('v'), schemaHash: '', clients }
  const seen = { asked: 0, read: 0, yes: 0, takenBack: 0 }
  const ready = new Map<string, boolean>()
  let known = await recorded(ledger)

  /** Asks once through each day, and reads the table after a yes. */
  const look = async (): Promise<void> => {
    for (const through of ['2026-03-04', '2026-03-06']) {
      const answer = await readiness(declared, { through }, ledger, Date.now())
      const now = await recorded(ledger)
      seen.asked++
      if (ready.get(through) === true && !answer.ready) {
        seen.takenBack++
        t.ok(now.held > 0 || now.restated > known.restated || now.runs > known.runs, `${through}: taken back for a reason`)
      }
      ready.set(through, answer.ready)
      if (answer.ready) {
        known = now
        seen.yes++
        const rows = await table(folder)
        if (rows === undefined) continue
        seen.read++
        const needed = RESTATING.clients.flatMap(client =>
          daysOf({ from: RESTATING.from, to: through }).map(day => `${client} ${day}`),
        )
        const wrong = needed.filter(key => !isWhole(key.slice(0, 1), rows.get(key)))
        if (wrong.length > 0) t.fail(`ready through ${through}, but ${wrong.map(key => `${key}: ${rows.get(key)}`).join()}`)
      }
    }
  }

  for (const [version, to, place, ends] of STEPS) {
    const child = spawn(process.execPath, [CHILD, folder, version, to, place], { stdio: 'inherit' })
    t.teardown(() => void child.kill('SIGKILL'))
    let over = false
    const exit = once(child, 'exit').finally(() => {
      over = true
    })
    while (!over) {
      await look()
      // Whoever writes the file has to get it as well.
      await delay(30)
    }
    const [code, signal] = await exit
    t.equal(signal ?? code, ends, `${version} through ${to}, killed at ${place}`)
    await look()
    t.same([...ready.values()], READY[`${version} ${ends}`], `ready after ${version}, ${ends}`)
  }
  t.ok(seen.read > 20 && seen.takenBack > 0, JSON.stringify(seen))
  t.comment(JSON.stringify(seen))
})

/** Whether the table is ready through the 4th and the 6th after a process of a version ended in some way. */
const READY: Readonly<Record<string, readonly [boolean, boolean]>> = {
  'v SIGKILL': [false, false],
  'v 0': [true, false],
  'v2 SIGKILL': [true, false],
  'v2 0': [true, false],
  'lost 42': [false, false],
  'v.4 0': [true, false],
  'v...5 SIGKILL': [true, false],
  'v...5 0': [true, true],
}
