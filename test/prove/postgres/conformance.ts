import type { Ledger } from '../../../lib/ledger/ledger.ts'
import { ownerOf } from '../../../lib/ledger/owner.ts'
import { postgres } from '../../../lib/ledger/postgres.ts'
import { LEDGER_CASES } from '../../../lib/testing/ledger.ts'
import type { LedgerHost } from '../../../lib/testing/ledger-case.ts'
import type { PostgresServer } from '../../support/postgres.ts'
import { step } from './step.ts'

let schemas = 0
const nextSchema = (): string => `s${++schemas}`

/** An empty ledger, for the kit that says what every ledger must do. */
function host(server: PostgresServer, now = 1_700_000_000_000): LedgerHost {
  const clock = { now }
  const schema = nextSchema()
  const opened: Ledger[] = []
  const another = (owner: string): Ledger => {
    const ledger = postgres({ url: server.url(), schema, now: () => clock.now, owner })
    opened.push(ledger)
    return ledger
  }
  return {
    ledger: another(ownerOf()),
    clock,
    another,
    sql: async (text, ...values) => {
      let count = 0
      const tables = text.replace(/\b(?<=FROM |UPDATE )(\w+)/g, `${schema}.$1`).replaceAll('?', () => `$${++count}`)
      const rows = await server.query(server.url(), tables, ...values)
      return rows.map(row =>
        Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value === null ? null : String(value)])),
      )
    },
    close: async () => {
      for (const ledger of opened) await ledger.close()
    },
  }
}

export async function conformance(server: PostgresServer): Promise<void> {
  const begun = performance.now()
  for (const { title, run } of LEDGER_CASES) {
    await run(async now => host(server, now)).catch(error => {
      throw new Error(`on PostgreSQL not: ${title}`, { cause: error })
    })
  }
  step('what every ledger must do', { cases: LEDGER_CASES.length, seconds: Math.round((performance.now() - begun) / 1_000) })
}
