import { PostgresServer } from '../support/postgres.ts'
import { order, published, slots, table, together, zombie } from './workers/findings.ts'
import { Fleet } from './workers/fleet.ts'
import { kill, outage, sleep } from './workers/strikes.ts'

/**
 * Three daemons on one ledger in PostgreSQL and one DuckDB file: one is killed, one is stopped for longer than its lease, and PostgreSQL crashes and is away for longer
 * than all leases. Takes less than a minute. Run it with: node test/prove/workers.ts
 */

const server = await PostgresServer.start()
if (server === undefined) {
  console.log('PostgreSQL is not installed: left out')
  process.exit()
}
const fleet = await Fleet.start(server, ['a', 'b', 'c'])
try {
  await fleet.until('they are at work', async () => (await fleet.count('published')) >= 20)
  const asleep = await sleep(fleet, 'b')
  await kill(fleet, 'a', 'd')
  const held = await asleep.woken()
  await outage(fleet)
  await fleet.until('everything is published', async () => (await fleet.left()) === 0)
  await fleet.stop()
  await published(fleet)
  await table(fleet)
  await zombie(fleet, 'b', held)
  await slots(fleet)
  await order(fleet)
  await together(fleet)
} finally {
  await fleet.close()
  await server.close()
}
