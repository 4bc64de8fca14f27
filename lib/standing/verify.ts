import type { Day } from '../chunk.ts'
import { sameDecimal } from '../decimal.ts'
import type { Ledger, PublishedDay } from '../ledger/ledger.ts'
import type { Pipeline } from '../pipeline.ts'
import type { DayCount, Warehouse, WarehouseCall } from '../warehouse/warehouse.ts'

/** One day of one client where the table and the ledger disagree. */
export interface Divergence {
  readonly client: string
  readonly day: Day
  /** One clause per difference. */
  readonly differences: readonly string[]
}

/** What a recount found. */
export interface Verification {
  readonly clients: number
  readonly days: number
  readonly rows: number
  readonly divergences: readonly Divergence[]
  /** Divergences beyond those listed. */
  readonly more: number
  /** Clients asked for that neither the ledger nor the table has ever seen. */
  readonly unknown: readonly string[]
}

/** Clients recounted with one query. */
const BLOCK = 50

/** Recounts the table of a pipeline against the ledger, client by client and day by day; lists at most `limit` divergences. */
export async function verify(
  pipeline: Pipeline,
  { ledger, warehouse }: { readonly ledger: Ledger; readonly warehouse: Warehouse },
  { clients: only, limit }: { readonly clients?: readonly string[] | undefined; readonly limit: number },
  call: WarehouseCall,
): Promise<Verification> {
  const { table, totals, name } = pipeline
  const known = new Set([...(await ledger.clients(name)), ...(await warehouse.clients(table, call))])
  const unknown = (only ?? []).filter(client => !known.has(client))
  const clients = [...new Set(only ?? known)].filter(client => known.has(client)).sort()
  const found = { clients: clients.length, days: 0, rows: 0, divergences: [] as Divergence[], more: 0, unknown }
  for (let at = 0; at < clients.length; at += BLOCK) {
    const block = clients.slice(at, at + BLOCK)
    const held = Map.groupBy(await warehouse.recount(table, totals, block, call), ({ client }) => client)
    for (const client of block) {
      const counts = new Map((held.get(client) ?? []).map(count => [count.day, count]))
      const published = new Map((await ledger.allDays(name, client)).map(day => [day.day, day]))
      for (const day of [...new Set([...published.keys(), ...counts.keys()])].sort()) {
        const count = counts.get(day)
        found.days++
        found.rows += count?.rows ?? 0
        const differences = [...compare(published.get(day), count)]
        if (differences.length === 0) continue
        if (found.divergences.length < limit) found.divergences.push({ client, day, differences })
        else found.more++
      }
    }
  }
  return found
}

function* compare(published: PublishedDay | undefined, count: DayCount | undefined): Generator<string> {
  const rows = count?.rows ?? 0
  if (published === undefined) {
    yield `${rows} rows in the table, nothing in the ledger`
    return
  }
  if (published.doubtful) yield 'a commit was interrupted, and its end is not known'
  if (rows !== published.rows) yield `${rows} rows in the table, ${published.rows} in the ledger`
  else if (count !== undefined) {
    for (const [column, total] of Object.entries(published.totals)) {
      const sum = count.totals[column]
      // A total that the pipeline no longer asks for is not recounted.
      if (sum !== undefined && !sameDecimal(sum, total)) yield `sum of ${column} is ${sum} in the table, ${total} in the ledger`
    }
  }
}
