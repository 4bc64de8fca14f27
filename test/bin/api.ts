import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What a page was asked for. */
export interface Asked {
  readonly client: string
  readonly from: string
  readonly to: string
  /** Which page, from 0. */
  readonly page: number
  /** How often this page was asked for, this time included. */
  readonly times: number
}

/** An answer: a status, and a body as text or as something that becomes JSON. */
export interface Answer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: unknown
}

/** What the server does with a request; undefined leaves it to `usual`. */
export type Script = (asked: Asked) => Answer | undefined | Promise<Answer | undefined>

/** A listening API. */
export interface Api {
  readonly url: string
  /** Everything that was asked, in order. */
  readonly asked: readonly Asked[]
  /** What it does from now on. */
  script: Script
  /** The first request for which this holds, past or coming. */
  request(matches: (asked: Asked) => boolean): Promise<Asked>
  close(): Promise<void>
}

/** Records of a day as the API documents them: two campaigns. */
export function recordsOf(client: string, day: string): Record<string, unknown>[] {
  return ['brand', 'search'].map((campaign, index) => ({
    account: client,
    day,
    campaign,
    clicks: Number(day.slice(-2)) * 10 + index,
    cost: `${index + 1}.25`,
  }))
}

/** The days of a window within one month. */
function days(from: string, to: string): string[] {
  const first = Number(from.slice(-2))
  return Array.from(
    { length: Number(to.slice(-2)) - first + 1 },
    (_, at) => from.slice(0, 8) + String(first + at).padStart(2, '0'),
  )
}

/** One page per day, the next one named by its number. */
export function usual({ client, from, to, page }: Asked): Answer {
  const all = days(from, to)
  const day = all[page] ?? from
  return { body: { data: recordsOf(client, day), ...(page + 1 < all.length ? { next: String(page + 1) } : {}) } }
}

/** An answer that never comes. */
export const never: Promise<never> = new Promise(() => undefined)

/** Starts an API that answers as scripted. */
export async function startApi(script: Script = () => undefined): Promise<Api> {
  const asked: Asked[] = []
  const waiting = new Set<() => void>()
  const server = createServer(async (request, response) => {
    const query = new URL(request.url ?? '/', 'http://localhost').searchParams
    const wanted = { client: query.get('client') ?? '', from: query.get('from') ?? '', to: query.get('to') ?? '' }
    const page = Number(query.get('page') ?? 0)
    const same = asked.filter(one => one.client === wanted.client && one.from === wanted.from && one.page === page)
    const now: Asked = { ...wanted, page, times: same.length + 1 }
    asked.push(now)
    for (const listener of waiting) listener()
    const { status = 200, headers = {}, body } = (await api.script(now)) ?? usual(now)
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const api: Api = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    script,
    request: matches =>
      new Promise(resolve => {
        const listener = (): void => {
          const found = asked.find(matches)
          if (found === undefined) return
          waiting.delete(listener)
          resolve(found)
        }
        waiting.add(listener)
        listener()
      }),
    close: async () => {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
  return api
}
