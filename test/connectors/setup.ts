import type { Test } from 'tap'
import { type PagedOptions, rest } from '../../connectors/rest/index.ts'
import type { Connector, Page, PageRequest } from '../../lib/connector.ts'
import type { WarningName } from '../../lib/errors.ts'
import { openClient, type TestClient } from '../http/setup.ts'
import { type Scripted, type Server, serve } from '../servers/http.ts'

/** A record of the test APIs. */
export interface Item {
  readonly id: number
}

/** Records with the given numbers. */
export function items(from: number, to: number): Item[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => ({ id: from + index }))
}

/** A server, a client, and a connector between them. */
export interface Reading {
  readonly server: Server
  readonly client: TestClient
  /** Names of the warnings so far. */
  readonly warnings: readonly string[]
  /** What the API stated that the records add up to, each time it did. */
  readonly totals: readonly object[]
  pages(): AsyncGenerator<Page<Item>>
  /** The ids that arrived, page by page, and the error at the end, if there was one. */
  read(): Promise<{ pages: number[][]; error: unknown }>
}

/** What most tests do not say about their connector. */
type Options = Omit<PagedOptions, 'name' | 'url' | 'records'> & Partial<PagedOptions>

/** Serves the script under `/v1/items` and declares a connector for it. */
export async function setup(
  t: Test,
  script: Scripted | readonly Scripted[],
  options: Options,
  request: Partial<PageRequest> = {},
): Promise<Reading> {
  return reading(t, script, url => rest<Item>({ name: 'items', url: `${url}/v1/items`, records: 'data', ...options }), request)
}

/** Serves the script to any connector. */
export async function reading(
  t: Test,
  script: Scripted | readonly Scripted[],
  connectorOf: (url: string) => Connector<unknown>,
  request: Partial<PageRequest> = {},
): Promise<Reading> {
  const server = await serve(script)
  const connector = connectorOf(server.url)
  const client = openClient({ attempts: 20 }, undefined, { api: connector.api })
  t.teardown(async () => {
    await client.destroy()
    await server.close()
  })
  const warnings: string[] = []
  const totals: object[] = []
  const pages = async function* (): AsyncGenerator<Page<Item>> {
    const asked = {
      client: 'acme',
      window: { from: '2026-01-01', to: '2026-01-03' },
      signal: client.abort.signal,
      http: client.http,
      sleep: client.sleep,
      now: client.now,
      warn: (name: WarningName) => warnings.push(name),
      totals: (stated: object) => totals.push(stated),
      ...request,
    }
    for await (const page of connector.pages(asked)) yield page as Page<Item>
  }
  const read = async (): Promise<{ pages: number[][]; error: unknown }> => {
    const arrived: number[][] = []
    try {
      for await (const page of pages()) arrived.push(page.map(({ id }) => id))
      return { pages: arrived, error: undefined }
    } catch (error) {
      return { pages: arrived, error }
    }
  }
  return { server, client, warnings, totals, pages, read }
}
