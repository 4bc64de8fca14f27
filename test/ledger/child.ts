import { createInterface } from 'node:readline'
import { ledger as ledgerOf } from '../../lib/ledger/environment.ts'
import { chunksOf, LEASE, publish, request } from './kit.ts'

/** What another process does to a ledger, by the name of it; it talks in lines. */
const [, , role, path = '', ...args] = process.argv
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const told = async (): Promise<string> => String((await lines.next()).value)
const codeOf = (error: unknown): string =>
  error instanceof Error ? `${'code' in error ? error.code : error.name} ${error.message}` : String(error)

/** Works off a run with others, and says which chunks it published. */
async function work(runId = ''): Promise<void> {
  const ledger = ledgerOf({ path })
  for (;;) {
    const claim = await ledger.claim(runId, LEASE)
    if (claim === undefined) break
    if ('waitMs' in claim) {
      await new Promise(resolve => setTimeout(resolve, 5))
      continue
    }
    await publish(ledger, claim)
    console.log(`${claim.chunk.client} ${claim.chunk.window.from}`)
  }
  console.log('done')
}

/** Takes a chunk and never finishes it. */
async function take(runId = ''): Promise<void> {
  const claim = await ledgerOf({ path }).claim(runId, LEASE)
  console.log(JSON.stringify(claim))
  await told()
}

/** Opens each ledger it is told of. */
async function open(): Promise<void> {
  console.log('ready')
  for (;;) {
    const ledger = ledgerOf({ path: await told() })
    console.log(
      await ledger.beginRun(request(), chunksOf(request())).then(({ resumed }) => (resumed ? 'resumed' : 'begun'), codeOf),
    )
    await ledger.close()
  }
}

/** Tries to use the ledger as somebody who may not. */
async function asNobody(): Promise<void> {
  process.setgid?.(65_534)
  process.setuid?.(65_534)
  console.log(await ledgerOf({ path }).clients('p').then(String, codeOf))
}

/** Claims the renewal of a grant and never ends it. */
async function claimGrant(name = '', generation = ''): Promise<void> {
  console.log((await ledgerOf({ path }).claimGrant(name, Number(generation), LEASE)).outcome)
  await told()
}

const ROLES: Readonly<Record<string, (...args: string[]) => Promise<void>>> = {
  work,
  take,
  open,
  'as-nobody': asNobody,
  'claim-grant': claimGrant,
}
await ROLES[role ?? '']?.(...args)
process.exit()
