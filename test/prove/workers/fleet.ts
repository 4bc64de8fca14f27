import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { DuckDBInstance } from '@duckdb/node-api'
import { type Running, start } from '../../bin/cli.ts'
import type { PostgresServer } from '../../support/postgres.ts'
import type { Seen } from './api.ts'
import { CLIENTS, LOOKBACK_DAYS, PIPELINES } from './source.ts'

/** Chunks that are due. */
export const CHUNKS = PIPELINES.length * CLIENTS.length * LOOKBACK_DAYS

/** How long anything at all may take; many times what it takes on a quiet machine. */
const PATIENCE_MS = 150_000

/** Daemons on one ledger in PostgreSQL and one DuckDB file, and the API they read. */
export class Fleet {
  readonly server: PostgresServer
  readonly begunAt = performance.now()
  /** Every daemon that was ever started, by its name. */
  readonly daemons = new Map<string, Running>()
  readonly #url: string
  readonly #folder: string
  readonly #api: ChildProcess
  readonly #address: string

  private constructor(server: PostgresServer, url: string, folder: string, api: ChildProcess, address: string) {
    this.server = server
    this.#url = url
    this.#folder = folder
    this.#api = api
    this.#address = address
  }

  static async start(server: PostgresServer, names: readonly string[]): Promise<Fleet> {
    const url = await server.database('workers')
    const folder = mkdtempSync(join(tmpdir(), 'headrace-workers-'))
    const api = spawn(process.execPath, [join(import.meta.dirname, 'api.ts')], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [address] = await once(createInterface({ input: api.stdout }), 'line')
    const fleet = new Fleet(server, url, folder, api, String(address))
    for (const name of names) fleet.add(name)
    return fleet
  }

  add(name: string): void {
    const config = join(import.meta.dirname, 'headrace.config.ts')
    const env = { DATABASE_URL: this.#url, API: this.#address, FOLDER: this.#folder, WORKER: name }
    this.daemons.set(name, start(['daemon', '--port', '0', '--config', config], { cwd: this.#folder, env }))
  }

  daemon(name: string): Running {
    const running = this.daemons.get(name)
    assert.ok(running !== undefined)
    return running
  }

  async seen(): Promise<Seen> {
    const seen: unknown = await (await fetch(`${this.#address}/seen`)).json()
    return seen as Seen
  }

  /** Asks the ledger. */
  query(sql: string, ...values: readonly unknown[]): Promise<Record<string, unknown>[]> {
    return this.server.query(this.#url, sql, ...values)
  }

  /** Chunks in a state. */
  async count(state: string): Promise<number> {
    // Whoever asks first may find no tables yet.
    const [row] = await this.query('SELECT count(*) AS chunks FROM headrace.chunk WHERE state = $1', state).catch(() => [])
    return Number(row?.chunks ?? 0)
  }

  /** Chunks that are not published. */
  async left(): Promise<number> {
    return CHUNKS - (await this.count('published')) - (await this.count('unchanged'))
  }

  /** Asks the warehouse, once nobody writes there. */
  async rows(sql: string): Promise<Record<string, unknown>[]> {
    const instance = await DuckDBInstance.create(join(this.#folder, 'warehouse.duckdb'), { access_mode: 'READ_ONLY' })
    const connection = await instance.connect()
    try {
      return (await connection.runAndReadAll(sql)).getRowObjectsJson()
    } finally {
      connection.closeSync()
      instance.closeSync()
    }
  }

  /** Looks again and again until something is so; nobody may have ended meanwhile who was not killed. */
  async until(what: string, holds: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS
    while (!(await holds())) {
      for (const [name, { process, ended }] of this.daemons) {
        assert.equal(process.exitCode, null, `daemon ${name} ended: ${process.exitCode === null ? '' : (await ended).stderr}`)
      }
      if (performance.now() > deadline) assert.fail(`not within ${PATIENCE_MS / 1_000} s: ${what}; ${await this.#standing()}`)
      await delay(20)
    }
  }

  /** What there is to do, some of it and of its last attempts as the ledger has them, and whose turn it is. */
  async #standing(): Promise<string> {
    const states = await this.query('SELECT pipeline, state, count(*) AS chunks FROM headrace.chunk GROUP BY 1, 2 ORDER BY 1, 2')
    const chunks = await this.query("SELECT * FROM headrace.chunk WHERE state NOT IN ('published', 'unchanged') LIMIT 4")
    const attempts = await this.query(
      "SELECT a.* FROM headrace.attempt a JOIN headrace.chunk c USING (run_id, client, window_from) WHERE c.state NOT IN ('published', 'unchanged') ORDER BY a.started_at DESC LIMIT 20",
    )
    const turns = await this.query('SELECT * FROM headrace.commit_turn')
    return JSON.stringify({ now: Date.now(), states, chunks, attempts, turns }, undefined, 1)
  }

  /** Stops all that live as systemd does. */
  async stop(): Promise<void> {
    const living = [...this.daemons.values()].filter(({ process }) => process.signalCode === null)
    for (const { process } of living) process.kill('SIGTERM')
    for (const { code, stderr } of await Promise.all(living.map(({ ended }) => ended))) assert.equal(code, 0, stderr)
  }

  /** What a daemon that has ended has logged. */
  async log(name: string): Promise<Record<string, unknown>[]> {
    const { stderr } = await this.daemon(name).ended
    // Whoever is killed does not finish its last line.
    const lines = stderr.split('\n').slice(0, -1)
    return lines.map(line => JSON.parse(line))
  }

  async close(): Promise<void> {
    for (const { process } of this.daemons.values()) process.kill('SIGKILL')
    this.#api.kill()
    await Promise.all([...this.daemons.values()].map(({ ended }) => ended))
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
