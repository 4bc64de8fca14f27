import { deepEqual, equal } from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RequestInfo } from '../servers/bigquery/faults.ts'
import { type BigQueryServer, startBigQuery } from '../servers/bigquery/server.ts'
import { crashWindow } from '../support/crash.ts'

/** What becomes of a process, and when: before a request is worked on, after it, or never, but the answer is lost. */
export type Blow = 'killed before' | 'killed after' | 'answer lost'

/** A blow at one request: the first that `strikes` says yes to. */
export interface Moment {
  readonly blow: Blow
  readonly strikes: (info: RequestInfo, index: number) => boolean
}

const CHILD = new URL('crash-child.ts', import.meta.url).pathname

/** Rows and rejects of one day of the three clients: 20 records each, two of which are rejected. */
const ROWS = 18 * crashWindow.clients.length
const REJECTS = 2 * crashWindow.clients.length

interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** What a crash was. */
export interface Crash {
  /** Whether the moment came. */
  readonly struck: boolean
  /** The requests of both runs. */
  readonly log: readonly RequestInfo[]
}

/** Runs a backfill that is struck at some moment, then the same command again, and asserts that the table is exact. */
export async function crash(moment: Moment | undefined): Promise<Crash> {
  const folder = mkdtempSync(join(tmpdir(), 'headrace-crash-'))
  let kill = (): void => {}
  let struck: RequestInfo | undefined
  let requests = 0
  const server: BigQueryServer = await startBigQuery({
    onRequest: (info, when) => {
      if (when === 'arrived' && struck === undefined && moment?.strikes(info, requests++)) struck = info
      if (struck !== info || moment === undefined) return
      if (moment.blow === 'answer lost') return when === 'done' ? 'drop' : undefined
      if ((moment.blow === 'killed before') !== (when === 'arrived')) return
      kill()
      return 'drop'
    },
  })
  try {
    const run = (): Promise<Ended> => {
      const child = spawn(process.execPath, [CHILD, folder, server.url, server.project, server.location], { stdio: 'inherit' })
      kill = () => void child.kill('SIGKILL')
      return new Promise(resolve => child.once('exit', (code, signal) => resolve({ code, signal })))
    }
    const first = await run()
    if (struck === undefined || moment?.blow === 'answer lost') {
      deepEqual(first, { code: 0, signal: null })
    } else {
      deepEqual(first, { code: null, signal: 'SIGKILL' })
      deepEqual(await run(), { code: 0, signal: null })
    }
    await assertExact(server, join(folder, 'spool'))
    return { struck: struck !== undefined, log: server.log }
  } finally {
    await server.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function assertExact(server: BigQueryServer, spool: string): Promise<void> {
  const [rows] = await server.query(
    'SELECT count(*)::INTEGER AS n, count(DISTINCT (client_id, date, campaign_id))::INTEGER AS keys FROM ads.campaigns',
  )
  deepEqual([Number(rows?.n), Number(rows?.keys)], [ROWS, ROWS], 'the table is exact')
  const [rejects] = await server.query('SELECT count(*)::INTEGER AS n FROM ads.campaigns_rejects')
  equal(Number(rejects?.n), REJECTS, 'so are the rejects')
  const [guards] = await server.query(
    "SELECT count(*)::INTEGER AS n FROM ads.campaigns_slices WHERE client_id = 'headrace guard'",
  )
  equal(Number(guards?.n), 1, 'there is one guard')
  const staged = await server.query("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'headrace_staging'")
  deepEqual(staged, [], 'nothing is left in staging')
  deepEqual(readdirSync(spool), [], 'nor on the disk')
  assertOnce(server)
}

/** Nothing was loaded or committed twice: of the tries of one piece of work at most one succeeded. */
function assertOnce({ jobs }: BigQueryServer): void {
  const succeeded = jobs
    .filter(({ state, error }) => state === 'DONE' && error === undefined)
    .map(({ id }) => id.replace(/-a\d+$/, ''))
  equal(new Set(succeeded).size, succeeded.length, 'nothing ran twice')
}
