import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { measures } from './source.ts'

/** A request for the first page of a chunk. */
export interface Asked {
  readonly list: string
  readonly client: string
  readonly day: string
  readonly worker: string
  /** When it came, in epoch milliseconds. */
  readonly at: number
}

/** What the API has seen so far. */
export interface Seen {
  /** All requests, further pages included. */
  readonly requests: number
  /** Requests of one account that were under way at once, at most. */
  readonly fullest: number
  /** Requests of everybody that were under way at once, at most. */
  readonly busiest: number
  readonly asked: readonly Asked[]
}

/** How long an answer takes, in milliseconds. */
const ANSWER_MS = 60

/** Records of a page. */
const PAGE = 2

/** An API of two lists, in a process of its own; it tells what it has seen at `/seen`, and its address on standard output. */
const underWay = new Map<string, number>()
const asked: Asked[] = []
let requests = 0
let all = 0
let fullest = 0
let busiest = 0

const server = createServer(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost')
  const json = (body: unknown): void => void response.setHeader('content-type', 'application/json').end(JSON.stringify(body))
  if (pathname === '/seen') return json({ requests, fullest, busiest, asked } satisfies Seen)
  const list = pathname.slice(1)
  const [client = '', day = '', page] = ['client', 'day', 'page'].map(name => searchParams.get(name) ?? '')
  if (page === '') asked.push({ list, client, day, worker: String(request.headers['x-worker']), at: Date.now() })
  const now = (underWay.get(client) ?? 0) + 1
  requests++
  underWay.set(client, now)
  fullest = Math.max(fullest, now)
  busiest = Math.max(busiest, ++all)
  // Over once it is answered, or nobody waits for it any more.
  response.once('close', () => {
    underWay.set(client, (underWay.get(client) ?? 0) - 1)
    all--
  })
  await delay(ANSWER_MS)
  const from = Number(page) * PAGE
  const records = measures(list, client, day)
  const more = from + PAGE < records.length ? { next: String(Number(page) + 1) } : {}
  json({ data: records.slice(from, from + PAGE), ...more })
}).listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
