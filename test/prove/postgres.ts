import { PostgresServer } from '../support/postgres.ts'
import { backfills } from './postgres/backfills.ts'
import { conformance } from './postgres/conformance.ts'
import { refusals, values } from './postgres/contents.ts'
import { dashboard } from './postgres/dashboard.ts'
import { hangs, lostAnswers, standstill } from './postgres/faults.ts'
import { crashes, pace, starts } from './postgres/processes.ts'

/**
 * The ledger on a real PostgreSQL: everything that every ledger must do, and then what only a server does: processes that start at once, answers that are
 * lost, crashes and standstills in the middle of a run. Takes less than a minute. Run it with: node test/prove/postgres.ts
 */

const server = await PostgresServer.start()
if (server === undefined) {
  console.log('PostgreSQL is not installed: left out')
  process.exit()
}
try {
  const waiting = Promise.all([standstill(server), refusals(server)])
  await conformance(server)
  await starts(server)
  await values(server)
  await dashboard(server)
  await lostAnswers(server)
  await hangs(server)
  await waiting
  await pace(server)
  await crashes(server)
  await backfills(server)
} finally {
  await server.close()
}
