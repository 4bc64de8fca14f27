import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * A server that costs as little as possible: every page is serialised before the first request. Pages are per client and day, so that all
 * contenders read the same bytes. Runs as a process of its own: `node bench/pages.ts wide|narrow CLIENTS DAYS PAGES ROWS`.
 */

/** A record as ad APIs send it: 21 leaf fields in 8 nested objects, about 600 bytes. */
export interface WideRecord {
  customer: { id: string; currencyCode: string; timeZone: string }
  campaign: { id: string; name: string; status: string; advertisingChannelType: string }
  adGroup: { id: string; name: string; status: string }
  adGroupCriterion: { criterionId: string; keyword: { text: string; matchType: string } }
  segments: { date: string; device: string; adNetworkType: string }
  metrics: { clicks: string; impressions: string; costMicros: string; conversions: number; averagePosition: number }
}

/** Five fields, about 100 bytes. */
export interface NarrowRecord {
  account: string
  day: string
  id: string
  clicks: number
  cost_micros: string
}

export const DEVICES = ['MOBILE', 'DESKTOP', 'TABLET']
export const MATCH_TYPES = ['EXACT', 'PHRASE', 'BROAD']

export function wideRecord(client: string, date: string, n: number): WideRecord {
  return {
    customer: { id: client, currencyCode: 'EUR', timeZone: 'Europe/Berlin' },
    campaign: {
      id: `1${n % 997}70031`,
      name: `Campaign ${n % 997} brand search`,
      status: 'ENABLED',
      advertisingChannelType: 'SEARCH',
    },
    adGroup: { id: `2${n % 9973}8812`, name: `Ad group ${n % 9973} exact`, status: 'ENABLED' },
    adGroupCriterion: {
      criterionId: `3${n}`,
      keyword: { text: `buy running shoes ${n % 4999} online`, matchType: MATCH_TYPES[n % 3] ?? 'EXACT' },
    },
    segments: { date, device: DEVICES[n % 3] ?? 'MOBILE', adNetworkType: 'SEARCH' },
    metrics: {
      clicks: String(n % 120),
      impressions: String((n % 120) * 17),
      costMicros: String((n % 120) * 431_237),
      conversions: (n % 7) / 4,
      averagePosition: 1 + (n % 30) / 10,
    },
  }
}

export function narrowRecord(client: string, day: string, n: number): NarrowRecord {
  return { account: client, day, id: `3${n}`, clicks: n % 120, cost_micros: String((n % 120) * 431_237) }
}

/** The days the server has, from the first of March 2026. */
export function benchDay(index: number): string {
  return new Date(Date.UTC(2026, 2, 1 + index)).toISOString().slice(0, 10)
}

if (import.meta.main) {
  const [shape = 'wide', clients = '2', days = '2', pages = '50', rows = '1000'] = process.argv.slice(2)
  const record = shape === 'wide' ? wideRecord : narrowRecord
  const bodies = new Map<string, Buffer>()
  for (let client = 0; client < Number(clients); client++) {
    for (let day = 0; day < Number(days); day++) {
      for (let page = 0; page < Number(pages); page++) {
        const first = page * Number(rows)
        const results = Array.from({ length: Number(rows) }, (_, row) => record(`c${client}`, benchDay(day), first + row))
        const next = page + 1 < Number(pages) ? { nextPageToken: String(page + 1) } : {}
        bodies.set(`/c${client}/${benchDay(day)}/${page}`, Buffer.from(JSON.stringify({ results, ...next })))
      }
    }
  }
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost')
    const body = bodies.get(`${url.pathname}/${url.searchParams.get('pageToken') ?? 0}`)
    if (body === undefined) response.writeHead(404).end('{}')
    else response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body)
  })
  server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }))
}
