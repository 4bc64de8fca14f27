import { join } from 'node:path'
import { Writable } from 'node:stream'
import { Registry } from 'prom-client'
import type { Test } from 'tap'
import type { ClientEntry } from '../../lib/config.ts'
import { type DaemonHost, daemon } from '../../lib/daemon.ts'
import {
  type ConfigOptions,
  createLog,
  defineConfig,
  duckdb,
  type Options,
  type Pipeline,
  type Warehouse,
} from '../../lib/index.ts'
import type { Ledger } from '../../lib/ledger/ledger.ts'
import type { Calendar } from './calendar.ts'
import { openLedger } from './run.ts'

/** What a test asks of a daemon. */
export interface DaemonOptions extends Partial<Pick<DaemonHost, 'sleep' | 'fault' | 'address'>> {
  readonly folder: string
  readonly pipelines: readonly Pipeline[]
  readonly clients: readonly ClientEntry[] | ConfigOptions['clients']
  readonly settings?: Partial<Options>
  readonly owner?: string
  /** Its clock, and that of its ledger. Default the real one. */
  readonly calendar?: Calendar
  /** Comes between the daemon and its ledger. */
  readonly wrap?: (ledger: Ledger) => Ledger
}

/** A line of the log. */
export type Line = Readonly<Record<string, unknown>>

/** A daemon in this process. */
export interface Daemon {
  readonly ended: Promise<0 | 130>
  readonly lines: readonly Line[]
  readonly registry: Registry
  /** The ledger it works on, without what comes between. */
  readonly ledger: Ledger
  /** The first signal. */
  stop(): void
  /** The second. */
  abort(): void
  /** Resolves once so many lines that match were logged, with them; rejects when it ends before. */
  logged(matches: (line: Line) => boolean, times?: number): Promise<Line[]>
}

/** Starts a daemon over the DuckDB and SQLite files of a folder; stopped with the test. */
export function startDaemon(t: Pick<Test, 'teardown'>, options: DaemonOptions): Daemon {
  const { folder, pipelines, clients, settings, owner, calendar, wrap = ledger => ledger, ...host } = options
  const ledger = openLedger(folder, owner, calendar?.now)
  const stop = new AbortController()
  const abort = new AbortController()
  const registry = new Registry()
  const lines: Line[] = []
  const listeners = new Set<() => void>()
  const tell = (): void => {
    for (const listener of listeners) listener()
  }
  const destination = new Writable({
    write(chunk, _, done) {
      for (const line of String(chunk).trim().split('\n')) lines.push(JSON.parse(line))
      tell()
      done()
    },
  })
  const warehouse = duckdb({ path: join(folder, 'warehouse.duckdb') })
  const config = defineConfig({
    pipelines,
    clients,
    warehouse: calendar === undefined ? warehouse : sweeping(warehouse, calendar),
    ledger: calendar === undefined ? wrap(ledger) : working(wrap(ledger), calendar),
    // On a calendar five minutes are nothing, and a look is not.
    settings: {
      retryBaseSeconds: 0,
      retryCapSeconds: 0,
      ...(calendar === undefined ? {} : { watchSeconds: 86_400 }),
      ...settings,
    },
  })
  let over = false
  const ended = daemon(config, {
    ...host,
    ...(calendar === undefined ? {} : { now: calendar.now, sleep: calendar.sleep }),
    log: createLog('info', destination),
    registry,
    observe: ({ type }) => {
      if (type === 'chunk') calendar?.working(-1)
    },
    control: { stop: stop.signal, abort: abort.signal },
  }).finally(() => {
    over = true
    tell()
  })
  t.teardown(async () => {
    stop.abort()
    abort.abort()
    await ended.catch(() => undefined)
    await ledger.close()
  })
  return {
    ended,
    lines,
    registry,
    ledger,
    stop: () => stop.abort(),
    abort: () => abort.abort(),
    logged: (matches, times = 1) =>
      new Promise((resolve, reject) => {
        const listener = (): void => {
          const found = lines.filter(matches)
          if (found.length < times && !over) return
          listeners.delete(listener)
          if (found.length >= times) resolve(found)
          else reject(new Error(`it ended after ${found.length} of ${times}: ${lines.map(line => line.message).join('; ')}`))
        }
        listeners.add(listener)
        listener()
      }),
  }
}

/** A warehouse on which a sweep stops the clock. */
function sweeping(warehouse: Warehouse, calendar: Calendar): Warehouse {
  return {
    ...warehouse,
    async sweep(alive) {
      calendar.working(1)
      try {
        return await warehouse.sweep(alive)
      } finally {
        calendar.working(-1)
      }
    },
  }
}

/** A ledger on which a claim stops the clock. */
function working(ledger: Ledger, calendar: Calendar): Ledger {
  return {
    ...ledger,
    async claim(from, leaseMs) {
      const claim = await ledger.claim(from, leaseMs)
      if (claim !== undefined && 'attemptId' in claim) calendar.working(1)
      return claim
    },
  }
}

/** Whether a line says that a chunk of some client (or of any) is through. */
export function published(client?: string): (line: Line) => boolean {
  return ({ event, client: of }) => (event === 'chunk.published' || event === 'chunk.unchanged') && (client ?? of) === of
}
