import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { step } from '../postgres/step.ts'
import type { Fleet } from './fleet.ts'

/** A chunk that a daemon holds. */
interface Held {
  readonly attemptId: string
  readonly state: string
}

/** What a daemon is reading or has staged, as the ledger has it. */
async function heldBy(fleet: Fleet, name: string): Promise<Held[]> {
  const rows = await fleet.query(
    "SELECT attempt_id, state, lease_owner FROM headrace.chunk WHERE state IN ('running', 'staged') AND split_part(lease_owner, ' ', 2) = $1",
    String(fleet.daemon(name).process.pid),
  )
  return rows.map(({ attempt_id, state }) => ({ attemptId: String(attempt_id), state: String(state) }))
}

/**
 * What a daemon is reading, while it has no turn at a table: whoever stands still with the DuckDB file in its hands keeps all others from it. It may well stand
 * still in a transaction of the ledger, which ends that after ten seconds.
 */
async function reading(fleet: Fleet, name: string): Promise<string[]> {
  const pid = String(fleet.daemon(name).process.pid)
  const turns = await fleet.query("SELECT * FROM headrace.commit_turn WHERE split_part(owner, ' ', 2) = $1", pid)
  if (turns.length > 0) return []
  return (await heldBy(fleet, name)).filter(({ state }) => state === 'running').map(({ attemptId }) => attemptId)
}

/** Sends a daemon to sleep while it reads; wakes it when all it read has been taken over. */
export async function sleep(fleet: Fleet, name: string): Promise<{ woken(): Promise<readonly string[]> }> {
  const { process } = fleet.daemon(name)
  let ids: string[] = []
  await fleet.until(`${name} is stopped while it reads`, async () => {
    if ((await reading(fleet, name)).length === 0) return false
    process.kill('SIGSTOP')
    ids = await reading(fleet, name)
    if (ids.length > 0) return true
    process.kill('SIGCONT')
    return false
  })
  const begun = performance.now()
  return {
    async woken() {
      await fleet.until(`others have taken over what ${name} was reading`, async () => {
        const [row] = await fleet.query('SELECT count(*) AS chunks FROM headrace.chunk WHERE attempt_id = ANY($1)', ids)
        return Number(row?.chunks) === 0
      })
      assert.ok((await fleet.left()) > 0, 'there is work left')
      process.kill('SIGCONT')
      await fleet.daemon(name).said('"code":"LEASE_LOST"')
      step(`SIGSTOP of ${name}, past its lease`, { read: ids.length, seconds: seconds(begun) })
      return ids
    },
  }
}

/** Kills a daemon while it reads and has something staged, and starts another one in its place. */
export async function kill(fleet: Fleet, name: string, heir: string): Promise<void> {
  const { process, ended } = fleet.daemon(name)
  let held: Held[] = []
  await fleet.until(`${name} reads`, async () => {
    held = await heldBy(fleet, name)
    return held.some(({ state }) => state === 'running')
  })
  process.kill('SIGKILL')
  await ended
  held = await heldBy(fleet, name)
  fleet.add(heir)
  const count = (state: string): number => held.filter(one => one.state === state).length
  step(`SIGKILL of ${name}`, { running: count('running'), staged: count('staged'), left: await fleet.left() })
}

/** PostgreSQL crashes, and comes back when everybody's leases have run out. */
export async function outage(fleet: Fleet): Promise<void> {
  const [row] = await fleet.query("SELECT count(*) AS chunks FROM headrace.chunk WHERE state IN ('running', 'staged')")
  const left = await fleet.left()
  assert.ok(left > 0, 'there is work left')
  const begun = performance.now()
  await fleet.server.crash()
  const { requests } = await fleet.seen()
  // No lease is longer than this, and none can be renewed.
  while (performance.now() - begun < 5_500) await delay(50)
  const meanwhile = (await fleet.seen()).requests - requests
  await fleet.server.restart()
  step('PostgreSQL crashed and away', {
    seconds: seconds(begun),
    underWay: Number(row?.chunks),
    requestsMeanwhile: meanwhile,
    left,
  })
}

const seconds = (since: number): number => Math.round((performance.now() - since) / 100) / 10
