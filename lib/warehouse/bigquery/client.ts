import { setTimeout as sleep } from 'node:timers/promises'
import type { BigQuery } from '@google-cloud/bigquery'
import { backoff } from '../../http/retry.ts'
import type { Connection } from './connect.ts'
import { ServiceError } from './failure.ts'
import type { Settings } from './options.ts'

/** One request. */
export interface Request {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** After `/projects/{project}`, or a whole address. */
  readonly path: string
  readonly query?: Readonly<Record<string, string | number>>
  /** Sent as JSON, by us: the client would replace `{{projectId}}` in every text of it. */
  readonly json?: unknown
  /** Sent as it is. */
  readonly bytes?: Buffer
  readonly headers?: Readonly<Record<string, string>>
  /** Ends the wait for the answer. */
  readonly signal?: AbortSignal | undefined
}

/** What came back. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: Readonly<Record<string, unknown>>
}

/**
 * The only place that talks to Google's client of BigQuery. That one has no deadlines, repeats requests by rules of its own and fills in
 * templates in what is sent; so it is used for what it is good at, credentials and one request at a time, and the rest is done here.
 */
export class Client {
  readonly settings: Settings
  #connection: Promise<Connection> | undefined
  #project: string | undefined

  constructor(settings: Settings) {
    this.settings = settings
    this.#project = settings.project
  }

  /** The project, from the options or the credentials. */
  async project(): Promise<string> {
    const known = this.#project
    if (known !== undefined) return known
    const found = this.#connect().then(connection => connection.project ?? connection.service.getProjectId())
    const project = await this.#within(found, undefined)
    this.#project = project
    return project
  }

  /** One request, one try, with a deadline. Throws a `ServiceError` for everything but an answer of success. */
  async send(request: Request): Promise<Answer> {
    const project = await this.project()
    const { service } = await this.#within(this.#connect(), request.signal)
    return this.#within(exchange(service, project, request), request.signal)
  }

  /** One request that may be repeated without harm, until it is answered or its tries are used up. */
  async ask(request: Request): Promise<Answer> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.send(request)
      } catch (error) {
        if (!(error instanceof ServiceError && error.mayPass) || attempt >= this.settings.tries) throw error
        await this.pause(attempt, request.signal)
      }
    }
  }

  /** Waits before the next try. */
  async pause(attempt: number, signal?: AbortSignal | undefined): Promise<void> {
    const baseMs = this.settings.retrySeconds * 1_000
    await sleep(backoff(attempt, { baseMs, capMs: 32 * baseMs }), undefined, { signal })
  }

  /** The address that uploads go to. */
  async uploadAddress(): Promise<string> {
    const { service } = await this.#connect()
    return `${service.apiEndpoint}/upload/bigquery/v2/projects/${await this.project()}/jobs`
  }

  #connect(): Promise<Connection> {
    this.#connection ??= open(this.settings).catch((error: unknown) => {
      this.#connection = undefined
      throw ServiceError.from(error)
    })
    return this.#connection
  }

  /** The client waits for an answer for ever. What it waits for then is left to itself. */
  async #within<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    const { requestSeconds } = this.settings
    const over = Promise.withResolvers<never>()
    const timer = setTimeout(
      () => over.reject(new ServiceError({ message: `no answer within ${requestSeconds} s` })),
      requestSeconds * 1_000,
    )
    const abort = (): void => over.reject(signal?.reason)
    if (signal?.aborted) abort()
    signal?.addEventListener('abort', abort)
    try {
      return await Promise.race([work, over.promise])
    } catch (error) {
      throw signal?.aborted ? error : ServiceError.from(error)
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
    }
  }
}

/** Google's packages take a third of the start of a process, and whoever publishes elsewhere never needs them. */
async function open(settings: Settings): Promise<Connection> {
  const { connect } = await import('./connect.ts')
  return connect(settings)
}

function exchange(service: BigQuery, project: string, request: Request): Promise<Answer> {
  const { method, path, query, json, bytes, headers } = request
  const own = path.startsWith('/')
  const url = new URL(own ? `${service.baseUrl}/projects/${project}${path}` : path)
  for (const [name, value] of Object.entries({ ...query, ...(own ? { prettyPrint: 'false' } : {}) })) {
    url.searchParams.set(name, String(value))
  }
  return new Promise((resolve, reject) => {
    service.request(
      {
        method,
        uri: url.href,
        ...(json === undefined ? {} : { body: JSON.stringify(json) }),
        ...(bytes === undefined ? {} : { body: bytes }),
        headers: { ...(json === undefined ? {} : { 'Content-Type': 'application/json' }), ...headers },
      },
      (error, body, response) => {
        const answer = { status: response?.statusCode ?? 0, headers: response?.headers ?? {}, body: asObject(body) }
        // 308 is how an upload says that it wants more.
        if (error !== null && 'code' in error && error.code === 308) {
          resolve({ status: 308, headers: headersOf(error), body: {} })
        } else if (error !== null) reject(ServiceError.from(error))
        else if (answer.body !== undefined) resolve({ ...answer, body: answer.body })
        // Something between here and BigQuery answered in its place.
        else reject(new ServiceError({ message: 'the answer is not JSON' }))
      },
    )
  })
}

/** The body of an answer; one that has none is empty. */
function asObject(body: unknown): Record<string, unknown> | undefined {
  if (body === undefined || body === null || body === '') return {}
  return typeof body === 'object' ? (body as Record<string, unknown>) : undefined
}

function headersOf(error: object): Record<string, unknown> {
  const response = 'response' in error ? error.response : undefined
  if (typeof response !== 'object' || response === null || !('headers' in response)) return {}
  return asObject(response.headers) ?? {}
}
