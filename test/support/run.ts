import { hostname } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { DuckDBInstance } from '@duckdb/node-api'
import { Registry } from 'prom-client'
import type { FaultPoint } from '../../lib/attempt/attempt.ts'
import {
  type BackfillResult,
  backfill,
  createLog,
  defineConfig,
  duckdb,
  ledger,
  type Options,
  type Pipeline,
  type RunEvent,
} from '../../lib/index.ts'
import type { Ledger } from '../../lib/ledger/ledger.ts'
import type { LineageTarget } from '../../lib/lineage/lineage.ts'
import { adsTable } from './ads.ts'

/** What a test asks of a run. */
export interface RunOptions {
  readonly folder: string
  readonly pipeline: Pipeline
  readonly from: string
  readonly to: string
  readonly clients: readonly string[]
  readonly force?: boolean
  readonly missing?: boolean
  readonly settings?: Partial<Options>
  readonly observe?: (event: RunEvent) => void
  readonly fault?: (point: FaultPoint) => void | Promise<void>
  readonly stop?: AbortSignal
  readonly abort?: AbortSignal
  readonly registry?: Registry
  /** Takes the lines of the log, from the level `info` on. Default nobody. */
  readonly onLine?: (line: Record<string, unknown>) => void
  /** Waits are told here and not waited. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>
  readonly owner?: string
  /** Where lineage is told. Default nowhere. */
  readonly lineage?: LineageTarget
  /** The clock of the run and of its ledger, in epoch milliseconds. Default the real one. */
  readonly now?: () => number
}

const NEVER = new AbortController().signal

/** Beyond the largest process number Linux gives out. */
let deadPid = 4_194_305

/** The name of a process of this host that does not live any more; another one at each call. */
export function deadOwner(): string {
  return `${hostname()} ${deadPid++} 1`
}

/** Runs a backfill in this process into the DuckDB file of the folder. */
export async function run(options: RunOptions): Promise<BackfillResult> {
  const { folder, pipeline, from, to, clients, force = false, missing = false } = options
  const { onLine } = options
  const opened = openLedger(folder, options.owner, options.now)
  const config = defineConfig({
    pipelines: [pipeline],
    clients,
    warehouse: duckdb({ path: join(folder, 'warehouse.duckdb') }),
    ledger: opened,
    ...(options.lineage === undefined ? {} : { lineage: options.lineage }),
    settings: { retryBaseSeconds: 0, retryCapSeconds: 0, ...options.settings },
  })
  try {
    return await backfill(
      config,
      { pipeline, window: { from, to }, clients, force, missing },
      {
        log: onLine === undefined ? createLog('silent') : createLog('info', { write: line => onLine(JSON.parse(line)) }),
        registry: options.registry ?? new Registry(),
        observe: options.observe ?? (() => {}),
        control: { stop: options.stop ?? NEVER, abort: options.abort ?? NEVER },
        ...(options.fault === undefined ? {} : { fault: options.fault }),
        ...(options.sleep === undefined ? {} : { sleep: options.sleep }),
        ...(options.now === undefined ? {} : { now: options.now }),
      },
    )
  } finally {
    await opened.close()
  }
}

/** The ledger of a folder, or the one that the environment names. */
export function openLedger(folder: string, owner?: string, now?: () => number): Ledger {
  const path = join(folder, 'ledger.sqlite')
  return ledger({ path, ...(now === undefined ? {} : { now }), ...(owner === undefined ? {} : { owner }) })
}

/** Waits until nothing that this process began holds the warehouse of a folder any more. */
async function idle(folder: string): Promise<void> {
  await setImmediate()
  const call = { signal: NEVER, warn: () => {} }
  await duckdb({ path: join(folder, 'warehouse.duckdb') }).prepare(adsTable, { create: false }, call)
}

/** The rows of a query over the warehouse of a folder. */
export async function rows(folder: string, sql: string): Promise<Record<string, unknown>[]> {
  // Opened twice in one process, a DuckDB file is two databases.
  await idle(folder)
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  try {
    await connection.run(`ATTACH '${join(folder, 'warehouse.duckdb')}' AS w (READ_ONLY)`)
    await connection.run('USE w')
    return (await connection.runAndReadAll(sql)).getRowObjectsJson()
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}
