import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { ledger as ledgerOf } from '../../lib/ledger/environment.ts'
import { Pacer } from '../../lib/pace/pacer.ts'

/** A process of its own that asks a server as fast as its pace allows, and tells when it was allowed to: `child.ts ledger url milliseconds`. */
const [ledgerPath = '', url = '', length = ''] = process.argv.slice(2)
const ledger = ledgerOf({ path: ledgerPath })
const pacer = new Pacer({
  api: 'counted',
  limits: [{ per: 'app', requests: 60, seconds: 1 }],
  longestWaitMs: 60_000,
  ledger,
  now: Date.now,
  sleep: async (ms, signal) => void (await delay(ms, undefined, { signal })),
  onWait: () => undefined,
  onConcurrency: () => undefined,
})
process.stdout.write('ready\n')
await once(process.stdin, 'data')
const end = AbortSignal.timeout(Number(length))

async function ask(): Promise<void> {
  while (!end.aborted) {
    const permit = await pacer.pace('backfill').acquire({ client: 'a', endpoint: '', cost: 1 }, end)
    process.stdout.write(`${Date.now()}\n`)
    const answer = await fetch(url)
    await answer.text()
    permit.done({ status: answer.status, outcome: 'ok' })
  }
}

await Promise.allSettled(Array.from({ length: 4 }, ask))
await pacer.close()
await ledger.close()
process.exit(0)
