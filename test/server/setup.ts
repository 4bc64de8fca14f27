import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { Registry } from 'prom-client'
import type { Test } from 'tap'
import { resolveClients } from '../../lib/config.ts'
import { defineConfig, duckdb } from '../../lib/index.ts'
import { createLog, type Log } from '../../lib/log.ts'
import type { Listening } from '../../lib/server/app.ts'
import type { Health } from '../../lib/server/health.ts'
import { serve } from '../../lib/server/server.ts'
import { AdsApi, adsPipeline } from '../support/ads.ts'
import { openLedger } from '../support/run.ts'

/** Closes a server with the test. */
export async function open(t: Test, server: Promise<Listening>): Promise<Listening> {
  const listening = await server
  t.teardown(() => listening.close())
  return listening
}

/** A log that is read as objects. */
export function logged(): { readonly log: Log; readonly lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = []
  const destination = new PassThrough()
  destination.on('data', chunk => {
    for (const line of String(chunk).trim().split('\n')) lines.push(JSON.parse(line))
  })
  return { log: createLog('debug', destination), lines }
}

/** A connection on which a test says what it wants, and all that comes back until the other side ends it. */
export async function raw(t: Test, { port }: Listening, request: string): Promise<{ socket: Socket; answer: Promise<string> }> {
  const socket = connect(port, '127.0.0.1')
  t.teardown(() => void socket.destroy())
  await once(socket, 'connect')
  const answer = text(socket).catch((error: Error) => error.message)
  socket.write(request)
  return { socket, answer }
}

/** What differs from a daemon that is well, over an empty ledger, at 1,000,000 ms past the epoch. */
export interface DaemonOptions extends Partial<Health> {
  /** Files of the folder of its ledger. */
  readonly files?: Parameters<Test['testdir']>[0]
  /** Default none. */
  readonly token?: string
}

/** The server of a daemon for the clients `acme` and `globex` of the ads. */
export async function daemon(t: Test, { files = {}, token, tickAt = 1_000_000, draining = false }: DaemonOptions = {}) {
  const folder = t.testdir(files)
  const ledger = openLedger(folder)
  t.teardown(() => ledger.close())
  const config = defineConfig({
    pipelines: [adsPipeline(new AdsApi().connector(10))],
    clients: ['acme', 'globex'],
    warehouse: duckdb({ path: ':memory:' }),
    ledger,
  })
  const clients = await resolveClients(config, undefined, new AbortController().signal)
  const { log, lines } = logged()
  const server = await open(
    t,
    serve({
      config,
      clients: () => clients,
      registry: new Registry(),
      log,
      token,
      now: () => 1_000_000,
      health: () => ({ tickAt, draining }),
      host: '127.0.0.1',
      port: 0,
    }),
  )
  return { server, ledger, folder, lines }
}
