import type { Test } from 'tap'
import { type RestOptions, rest } from '../../connectors/rest/index.ts'
import type { Page, PageRequest } from '../../lib/connector.ts'
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
  pages(): AsyncGenerator<Page<Item>>
  /** The ids that arrived, page by page, and the error at the end, if there was one. */
  read(): Promise<{ pages: number[][]; error: unknown }>
}

/** What most tests do not say about their connector. */
type Options = Omit<RestOptions, 'name' | 'url' | 'records'> & Partial<RestOptions>

/** Serves the script under `/v1/items` and declares a connector for it. */
export async function setup(
  t: Test,
  script: Scripted | readonly Scripted[],
  options: Options,
  request: Partial<PageRequest> = {},
): Promise<Reading> {
  const server = await serve(script)
  const client = openClient({ attempts: 20 })
  t.teardown(async () => {
    await client.destroy()
    await server.close()
  })
  const warnings: string[] = []
  const connector = rest<Item>({ name: 'items', url: `${server.url}/v1/items`, records: 'data', ...options })
  const pages = (): AsyncGenerator<Page<Item>> => {
    const iterable = connector.pages({
      client: 'acme',
      window: { from: '2026-01-01', to: '2026-01-03' },
      signal: client.abort.signal,
      http: client.http,
      warn: name => warnings.push(name),
      ...request,
    })
    return iterable as AsyncGenerator<Page<Item>>
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
  return { server, client, warnings, pages, read }
}
