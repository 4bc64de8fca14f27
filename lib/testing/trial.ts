import { setTimeout as delay } from 'node:timers/promises'
import type { Window } from '../chunk.ts'
import type { Connector, PageRequest } from '../connector.ts'
import { HeadraceError } from '../errors.ts'
import { createDispatcher, createHttp, type Http } from '../http/client.ts'
import { RetryBudget } from '../http/retry.ts'
import { type ApiReply, type ApiRequest, type ApiServer, serveApi, type Treatment } from './api.ts'

/** An API that works, and a connector that reads it. */
export interface ConnectorHost {
  /** The connector for the API at an address. */
  connector(url: string): Connector<unknown>
  /** What the API answers. */
  answer(asked: ApiRequest): ApiReply
  readonly client: string
  readonly window: Window
  /** Every record that the API has for them, as the connector gives it, in any order. */
  readonly records: readonly unknown[]
  /** Texts of at least twelve characters that the connector sends to be let in, and that nothing may show. */
  readonly secrets: readonly string[]
  /** What the API states that the records add up to, as the connector says it. Default nothing. */
  readonly totals?: object
}

/** What came of reading everything once. */
export interface Outcome {
  /** As JSON, sorted. */
  readonly records: readonly string[]
  readonly error: unknown
  readonly warnings: readonly string[]
  /** What was said that the API states, each time it was said. */
  readonly totals: readonly object[]
}

/** One server, one connector and one client, with a clock that nobody waits for. */
export interface Trial {
  readonly server: ApiServer
  /** Milliseconds of each wait. */
  readonly waits: readonly number[]
  readonly abort: AbortController
  readonly http: Http
  read(): Promise<Outcome>
  /** The pages, for whoever wants to stop in the middle. */
  pages(): AsyncIterable<readonly unknown[]>
}

/** Lets the reply through. */
export const untouched = (_turn: number, reply: ApiReply): Treatment => reply

/** Does something with a server that treats its replies in the given way, and takes everything down again. */
export async function withTrial<T>(
  host: ConnectorHost,
  meddle: (turn: number, reply: ApiReply, asked: ApiRequest) => Treatment,
  work: (trial: Trial) => Promise<T>,
): Promise<T> {
  const server = await serveApi(host.answer, meddle)
  const connector = host.connector(server.url)
  const dispatcher = createDispatcher()
  const abort = new AbortController()
  const waits: number[] = []
  let clock = Date.UTC(2026, 0, 1)
  const sleep = async (ms: number): Promise<void> => {
    waits.push(ms)
    clock += ms
    // A turn of the real clock, so that whoever waits for ever can be stopped.
    await delay(0)
    abort.signal.throwIfAborted()
  }
  const http = createHttp({
    ...{ signal: abort.signal, client: host.client, dispatcher, api: connector.api, budget: new RetryBudget(), sleep },
    options: {
      ...{ attempts: 4, deadlineMs: 60_000, streamMs: 60_000, idleMs: 60_000, longestWaitMs: 60_000, bodyLimit: 2 ** 28 },
      ...{ backoff: { baseMs: 500, capMs: 30_000 }, heavyTries: Number.POSITIVE_INFINITY },
    },
    now: () => clock,
    onRequest: () => undefined,
  })
  const warnings: string[] = []
  const request: PageRequest = {
    ...{ client: host.client, window: host.window, signal: abort.signal, http, sleep, now: () => clock },
    ...(connector.auth === undefined ? {} : { authorize: async () => ({ authorization: `Bearer ${host.secrets[0]}` }) }),
    warn: (name, message) => warnings.push(`${name}: ${message}`),
    totals: () => undefined,
  }
  const read = async (): Promise<Outcome> => {
    const records: string[] = []
    const totals: object[] = []
    let error: unknown
    try {
      const asked = { ...request, totals: (stated: object) => totals.push(stated) }
      for await (const page of connector.pages(asked)) for (const record of page) records.push(JSON.stringify(record))
    } catch (thrown) {
      error = thrown
    }
    return { records: records.sort(), error, warnings, totals }
  }
  try {
    return await work({ server, waits, abort, http, read, pages: () => connector.pages(request) })
  } finally {
    abort.abort()
    await dispatcher.destroy()
    await server.close()
  }
}

/** What all errors underneath an error say. */
export function textsOf(error: unknown): string[] {
  if (!(error instanceof Error)) return [String(error)]
  const hint = error instanceof HeadraceError ? [error.hint ?? ''] : []
  return [error.message, ...hint, ...(error.cause === undefined ? [] : textsOf(error.cause))]
}
