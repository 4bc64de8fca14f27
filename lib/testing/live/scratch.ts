import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Table } from '../../table.ts'
import { connect } from '../../warehouse/bigquery/bigquery.ts'
import { Client } from '../../warehouse/bigquery/client.ts'
import { failure, ServiceError } from '../../warehouse/bigquery/failure.ts'
import { type Job, type ResultRow, resultRows, runQuery } from '../../warehouse/bigquery/jobs.ts'
import { identifier, namesOf, tablePath } from '../../warehouse/bigquery/names.ts'
import type { Settings } from '../../warehouse/bigquery/options.ts'
import { stagedTables } from '../../warehouse/bigquery/staged-tables.ts'
import type { Warehouse, WarehouseCall } from '../../warehouse/warehouse.ts'
import type { WarehouseHost } from '../case.ts'

/** Every day there is: tables refuse queries that do not say which days they want. */
const ALL_DAYS = "BETWEEN DATE '0001-01-01' AND DATE '9999-12-31'"

const DAY_MS = 86_400_000

/** A warehouse on throw-away tables, and what is asked about them beside it. */
export interface ScratchHost extends WarehouseHost {
  /** A table as a query names it. */
  path(table: Table): string
  /** The warehouse as another process would have it, on the same tables; some settings may differ. */
  another(settings?: Partial<Settings>): Warehouse
}

/** What a statement or a script did. */
export interface Asked {
  readonly rows: readonly ResultRow[]
  readonly job: Job
  readonly seconds: number
}

/**
 * Throw-away tables in one dataset of a project. The dataset holds what is staged, too, so that nothing is needed besides it. Whatever was made here
 * has a name that says so, and is removed by that name.
 */
export class Scratch {
  /** One client that tries everything once, so that what fails is seen. */
  readonly client: Client
  readonly signal: AbortSignal
  readonly #settings: Settings
  readonly #prefix = `headrace_live_${Date.now().toString(36)}`
  /** Attempts that staged something; tables are named after them. */
  readonly #attempts = new Set<string>()
  #hosts = 0
  #created = false

  private constructor(settings: Settings, signal: AbortSignal) {
    this.#settings = settings
    this.client = new Client({ ...settings, tries: 1 })
    this.signal = signal
  }

  /** Takes the dataset, or creates it; what is in it stays. */
  static async open(settings: Settings, dataset: string, signal: AbortSignal): Promise<Scratch> {
    const spool = await mkdtemp(join(tmpdir(), 'headrace-live-'))
    const scratch = new Scratch({ ...settings, stagingDataset: dataset, spool }, signal)
    try {
      await scratch.#takeDataset(signal)
      return scratch
    } catch (error) {
      await rm(spool, { recursive: true, force: true })
      throw error
    }
  }

  get dataset(): string {
    return this.#settings.stagingDataset
  }

  /** A warehouse with tables that nobody else has. */
  async host(options: Partial<Settings> = {}): Promise<ScratchHost> {
    const prefix = `${this.#prefix}_${++this.#hosts}_`
    const rename = (table: Table): Table => ({ ...table, name: `${this.dataset}.${prefix}${table.name.replace('.', '_')}` })
    const project = await this.client.project()
    const path = (table: Table): string => tablePath(namesOf(project, rename(table)).target)
    const another = (more: Partial<Settings> = {}): Warehouse =>
      this.#renamed(connect({ ...this.#settings, ...options, ...more }), rename)
    return {
      warehouse: another(),
      another,
      path,
      rows: async table => {
        const columns = Object.keys(table.columns).map(identifier).join(', ')
        const { rows } = await this.ask(
          `SELECT ${columns} FROM ${path(table)} WHERE ${identifier(table.partitionBy)} ${ALL_DAYS}`,
        )
        return rows
      },
      spoil: async (table, client) => {
        const where = `client_id = '${client}' AND ${identifier(table.partitionBy)} ${ALL_DAYS}`
        await this.ask(`DELETE FROM ${path(table)} WHERE ${where}`)
      },
      close: async () => void (await this.#remove(name => name.includes(prefix))),
    }
  }

  /** Runs a statement, or a script, and reads its rows. */
  async ask(sql: string): Promise<Asked> {
    this.signal.throwIfAborted()
    const started = performance.now()
    const { job, jobId } = await runQuery(this.client, { sql, script: /;\s*\S/.test(sql) })
    const rows = await Array.fromAsync(resultRows(this.client, jobId))
    return { rows, job, seconds: (performance.now() - started) / 1_000 }
  }

  /** Removes everything that was made here, also after a failure or a signal. Returns the names of what could not be removed. */
  async close(): Promise<string[]> {
    const left = await this.#remove(() => true)
    await rm(this.#settings.spool, { recursive: true, force: true })
    if (!this.#created || left.length > 0) return left
    const client = new Client(this.#settings)
    return (await gone(client.ask({ method: 'DELETE', path: `/datasets/${this.dataset}` }))) ? [] : [this.dataset]
  }

  async #takeDataset(signal: AbortSignal): Promise<void> {
    const { location, stagingDataset: datasetId } = this.#settings
    const client = new Client(this.#settings)
    const projectId = await client.project()
    const found = await client.ask({ method: 'GET', path: `/datasets/${datasetId}`, signal }).catch((error: unknown) => {
      if (error instanceof ServiceError && error.missing && !/not found: project/i.test(error.message)) return undefined
      throw error
    })
    if (found !== undefined) return
    const json = { datasetReference: { projectId, datasetId }, location, defaultTableExpirationMs: String(DAY_MS) }
    await client.ask({ method: 'POST', path: '/datasets', json, signal })
    this.#created = true
  }

  /** Removes tables of this run, among them what its attempts staged. */
  async #remove(among: (name: string) => boolean): Promise<string[]> {
    const client = new Client(this.#settings)
    const attempts = [...this.#attempts]
    const isOurs = (name: string): boolean => name.includes(this.#prefix) && among(name)
    const isStaged = (name: string): boolean => attempts.some(attempt => name.includes(attempt))
    const all = await Array.fromAsync(stagedTables(client)).catch((error: unknown) => {
      throw failure(this.dataset, error, `Tables whose names contain ${this.#prefix} may be left.`)
    })
    const names = all.filter(name => isOurs(name) || isStaged(name))
    const left: string[] = []
    for (const name of names) {
      const removal = client.ask({ method: 'DELETE', path: `/datasets/${this.dataset}/tables/${name}` })
      if (!(await gone(removal))) left.push(name)
    }
    return left
  }

  /** The warehouse under other names, which ends what it waits for with the signal. */
  #renamed(warehouse: Warehouse, rename: (table: Table) => Table): Warehouse {
    const { signal } = this
    const stopping = ({ warn }: WarehouseCall): WarehouseCall => ({ signal, warn })
    return {
      name: warehouse.name,
      datasetName: table => warehouse.datasetName(rename(table)),
      encoder: table => warehouse.encoder(table),
      prepare: (table, options, call) => warehouse.prepare(rename(table), options, stopping(call)),
      widen: (table, call) => warehouse.widen(rename(table), stopping(call)),
      stage: async (table, attemptId) => {
        signal.throwIfAborted()
        this.#attempts.add(attemptId.replaceAll('-', '_'))
        return warehouse.stage(rename(table), attemptId)
      },
      commit: (table, totals, members, call) => warehouse.commit(rename(table), totals, members, stopping(call)),
      charge: (table, totals, publishing, call) => warehouse.charge(rename(table), totals, publishing, stopping(call)),
      recount: (table, totals, clients, call) => warehouse.recount(rename(table), totals, clients, stopping(call)),
      clients: (table, call) => warehouse.clients(rename(table), stopping(call)),
      rejects: (table, query, call) => warehouse.rejects(rename(table), query, stopping(call)),
      discard: member => warehouse.discard(member),
      sweep: alive => warehouse.sweep(alive),
    }
  }
}

/** Whether something was removed, or was not there. */
async function gone(removal: Promise<unknown>): Promise<boolean> {
  return removal.then(
    () => true,
    (error: unknown) => error instanceof ServiceError && error.missing,
  )
}
