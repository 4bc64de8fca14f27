import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'
import { type Config, type ConfigOptions, defineConfig, duckdb } from '../../lib/index.ts'
import { createLog, type Log } from '../../lib/log.ts'
import type { Listening } from '../../lib/server/app.ts'
import { AdsApi, adsPipeline } from '../support/ads.ts'

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

/** A configuration over the pipeline of the ads, without a warehouse that anybody asks. */
export function configOf(more: Partial<ConfigOptions> & Pick<ConfigOptions, 'ledger'>): Config {
  return defineConfig({
    pipelines: [adsPipeline(new AdsApi().connector(10))],
    clients: ['acme', 'globex'],
    warehouse: duckdb({ path: ':memory:' }),
    ...more,
  })
}
