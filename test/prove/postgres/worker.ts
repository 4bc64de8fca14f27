import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { ledger as ledgerOf } from '../../../lib/ledger/environment.ts'
import type { Claim } from '../../../lib/ledger/ledger.ts'
import { publish, stage, summaryOf } from '../../../lib/testing/ledger-case.ts'

/** A process that works on a run of the ledger at `DATABASE_URL`, and talks in lines: `worker.ts role run lease`. */
const [, , role, runId = '', lease = ''] = process.argv
const ledger = ledgerOf({ path: 'never' })
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const told = async (): Promise<string> => String((await lines.next()).value)
const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : String(error))
const nameOf = ({ chunk: { client, window } }: Claim): string => `${client} ${window.from}`

/** Works off the run with others, and says what it published. */
async function work(): Promise<void> {
  for (;;) {
    const claim = await ledger.claim(runId, Number(lease))
    if (claim === undefined) break
    if ('waitMs' in claim) {
      await delay(20)
      continue
    }
    await delay(Math.random() * 10)
    console.log(
      await publish(ledger, claim).then(
        () => `published ${nameOf(claim)}`,
        error => `${codeOf(error)} ${nameOf(claim)}`,
      ),
    )
  }
  console.log('done')
}

/** Takes a chunk, stages it, and goes on when it is told to. */
async function hold(): Promise<void> {
  const claim = await ledger.claim(runId, Number(lease))
  if (claim === undefined || 'waitMs' in claim) throw new Error('nothing to hold')
  await stage(ledger, claim)
  console.log(nameOf(claim))
  await told()
  for (const write of [
    () => ledger.committing([claim.attemptId]),
    () => ledger.published(claim.attemptId, summaryOf(claim), []),
  ]) {
    console.log(await write().then(() => 'written', codeOf))
  }
}

/** Opens the ledger with everybody else. */
async function open(): Promise<void> {
  console.log('ready')
  await told()
  console.log(await ledger.clients('p').then(() => 'opened', codeOf))
}

const ROLES: Readonly<Record<string, () => Promise<void>>> = { work, hold, open }
await ROLES[role ?? '']?.()
process.exit()
