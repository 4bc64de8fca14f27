import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseArgs } from 'node:util'
import { flightsSql, openMemory, ROUTES_SQL } from './data.ts'

/**
 * The demo API: flights served as an agency API serves performance data. Accounts are origin airports; pages have cursors that expire; now and
 * then it answers 429 or 500, and which request that hits follows from the seed alone.
 *
 *   GET  /v1/accounts                                        every account
 *   GET  /v1/flights?account=&from=&to=                      one record per flight
 *   GET  /v1/route-performance?account=&from=&to=            one nested record per day and route, numbers as text, millionths where they are not whole;
 *                                                            the first page says what all flights add up to
 *   POST /v1/revise?day=                                     from now on, that day has other numbers
 *
 * Run it with: node examples/demo/server.ts [--port 8080] [--seed 1] [--faults 0.01]
 */

const { values: args } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    seed: { type: 'string', default: '1' },
    /** Share of page requests that fail the first time. */
    faults: { type: 'string', default: '0.01' },
  },
})

const KEY = 'demo-key'
const LARGEST_PAGE = 10_000
const TOKEN_SECONDS = 120

const database = await openMemory()
const revised: string[] = []

async function load(): Promise<void> {
  await database.run(`CREATE OR REPLACE TABLE flights AS ${flightsSql(revised)} ORDER BY n`)
  await database.run(`CREATE OR REPLACE TABLE routes AS ${ROUTES_SQL} ORDER BY n`)
}

async function rows(sql: string, ...values: string[]): Promise<Record<string, unknown>[]> {
  return (await database.runAndReadAll(sql, values)).getRowObjectsJson()
}

const RECORDS = {
  '/v1/flights': {
    table: 'flights',
    json:
      "to_json({account: origin, flight_date: day, scheduled_at: strftime(scheduled, '%Y-%m-%dT%H:%M:%SZ'), destination: destination, " +
      'delay_minutes: delay, distance_miles: distance})',
  },
  '/v1/route-performance': {
    table: 'routes',
    json:
      'to_json({account: {id: origin}, segments: {date: day}, route: {destination: destination}, metrics: {flights: flights::VARCHAR, ' +
      'distanceMiles: distance::VARCHAR, delayMicros: (delay * 1000000)::VARCHAR, onTimeShareMicros: (on_time * 1000000 // flights)::VARCHAR}})',
  },
} as const

/** Where a page begins and where the answer ends, and when the token was given out. */
interface Token {
  readonly next: number
  readonly last: number
  readonly at: number
}

function sendJson(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  response
    .writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), ...headers })
    .end(text)
}

/** How often each page was asked for; a fault hits only the first time. */
const asked = new Map<string, number>()

/** Which fault, if any, hits a request: decided by the seed and what is asked for, so that a run can be repeated. */
function faultFor(key: string): 'throttle' | 'break' | 'expire' | undefined {
  const times = (asked.get(key) ?? 0) + 1
  asked.set(key, times)
  if (times > 1) return undefined
  const dice = createHash('sha256').update(`${args.seed} ${key}`).digest().readUInt32BE(0) / 2 ** 32
  const share = Number(args.faults)
  if (dice < share / 2) return 'throttle'
  if (dice < share * 0.9) return 'break'
  return dice < share ? 'expire' : undefined
}

async function page(path: keyof typeof RECORDS, url: URL, response: ServerResponse): Promise<void> {
  const account = url.searchParams.get('account') ?? ''
  const from = url.searchParams.get('from') ?? ''
  const to = url.searchParams.get('to') ?? ''
  const size = Math.min(LARGEST_PAGE, Number(url.searchParams.get('page_size') ?? LARGEST_PAGE))
  const given = url.searchParams.get('page_token')
  if (!/^\d{4}-\d\d-\d\d$/.test(from) || !/^\d{4}-\d\d-\d\d$/.test(to) || !(size >= 1)) {
    sendJson(response, 400, { error: { code: 'BAD_REQUEST', message: 'from and to are days, page_size is a number' } })
    return
  }
  const { table, json } = RECORDS[path]
  const token = given === null ? await firstPage(table, account, from, to) : parseToken(given)
  const fault = faultFor(`${path} ${account} ${from} ${to} ${token?.next}`)
  if (fault === 'throttle') {
    sendJson(response, 429, { error: { code: 'RATE_LIMITED', message: 'too many requests' } }, { 'retry-after': '1' })
  } else if (fault === 'break') {
    response.writeHead(500, { 'content-type': 'text/html' }).end('<html><body><h1>Internal Server Error</h1></body></html>')
  } else if (token === undefined || Date.now() - token.at > TOKEN_SECONDS * 1_000 || (fault === 'expire' && given !== null)) {
    sendJson(response, 410, { error: { code: 'PAGE_TOKEN_EXPIRED', message: 'the page token has expired; begin again' } })
  } else {
    const end = Math.min(token.next + size - 1, token.last)
    const [found] = await rows(
      `SELECT string_agg(${json}::VARCHAR, ',' ORDER BY n) AS records FROM ${table} WHERE n BETWEEN ${token.next} AND ${end}`,
    )
    const summary = given === null && path === '/v1/route-performance' ? `,"summary":${await summaryOf(account, from, to)}` : ''
    const next = end < token.last ? `,"next_page_token":"${tokenText({ next: end + 1, last: token.last, at: Date.now() })}"` : ''
    sendJson(response, 200, `{"data":[${found?.records ?? ''}]${summary}${next}}`)
  }
}

/** What the flights of an account add up to, whatever the routes say. */
async function summaryOf(account: string, from: string, to: string): Promise<string> {
  const [sums] = await rows(
    'SELECT to_json({flights: count(*)::VARCHAR, distanceMiles: sum(distance)::VARCHAR, delayMicros: (sum(delay) * 1000000)::VARCHAR})::VARCHAR AS json ' +
      'FROM flights WHERE origin = $1 AND day BETWEEN $2::DATE AND $3::DATE',
    account,
    from,
    to,
  )
  return String(sums?.json)
}

async function firstPage(table: string, account: string, from: string, to: string): Promise<Token> {
  const [range] = await rows(
    `SELECT min(n) AS first, max(n) AS last FROM ${table} WHERE origin = $1 AND day BETWEEN $2::DATE AND $3::DATE`,
    account,
    from,
    to,
  )
  return { next: Number(range?.first ?? 1), last: Number(range?.last ?? 0), at: Date.now() }
}

function tokenText(token: Token): string {
  return Buffer.from(JSON.stringify(token)).toString('base64url')
}

function parseToken(text: string): Token | undefined {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString())
  } catch {
    return undefined
  }
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost')
  if (request.headers.authorization !== `Bearer ${KEY}`) {
    sendJson(response, 401, { error: { code: 'UNAUTHENTICATED', message: 'no valid key' } })
  } else if (request.method === 'POST' && url.pathname === '/v1/revise') {
    revised.push(...url.searchParams.getAll('day').filter(day => /^\d{4}-\d\d-\d\d$/.test(day)))
    await load()
    sendJson(response, 200, { revised })
  } else if (url.pathname === '/v1/accounts') {
    const accounts = await rows('SELECT origin AS id, count(*)::INTEGER AS flights FROM flights GROUP BY origin ORDER BY origin')
    sendJson(response, 200, { accounts })
  } else if (url.pathname === '/v1/flights' || url.pathname === '/v1/route-performance') {
    await page(url.pathname, url, response)
  } else {
    sendJson(response, 404, { error: { code: 'NOT_FOUND', message: `there is no ${url.pathname}` } })
  }
}

await load()
const server = createServer((request, response) => {
  answer(request, response).catch(error => {
    if (!response.headersSent) sendJson(response, 500, { error: { code: 'INTERNAL', message: String(error) } })
    else response.destroy()
  })
})
server.on('error', error => {
  console.error(`the demo API cannot listen on port ${args.port}: ${error.message}`)
  process.exit(2)
})
server.listen(Number(args.port), '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo
  if (process.send === undefined) console.log(`the demo API listens on http://127.0.0.1:${port}, key ${KEY}`)
  else process.send({ port })
})
// Started by another process, it ends with it.
process.on('disconnect', () => process.exit(0))
