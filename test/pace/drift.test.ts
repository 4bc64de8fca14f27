import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Limit } from '../../lib/pace/pace.ts'
import { folder } from '../ledger/kit.ts'
import { openProcess } from './process.ts'
import { seeded, Vendor, type VendorOptions } from './vendor.ts'
import { VirtualTime } from './virtual-time.ts'

const REQUESTS = 12_000
const PROCESSES = 4
const ACCOUNTS = 8

/** What the API documents; what it allows moves between 60 and 100, and nobody is told. */
const LIMITS: readonly Limit[] = [{ per: 'app', requests: 120, seconds: 1 }]

/** Reads as much as there is from a simulated vendor, from every account in each of four processes; says what came of it. */
async function drift(t: Test, { says, capacity }: Pick<VendorOptions, 'says' | 'capacity'>) {
  const time = new VirtualTime()
  const random = seeded(7)
  const vendor = new Vendor({
    time,
    rate: seconds => 80 * (1 + 0.25 * Math.sin((2 * Math.PI * seconds) / 120)),
    capacity,
    says,
    latency: () => 50 + 100 * random(),
  })
  const path = join(folder(t), 'ledger.sqlite')
  const processes = Array.from({ length: PROCESSES }, () => openProcess(time, path, LIMITS))
  let transactions = 0
  for (const { ledger } of processes) {
    const pace = ledger.pace
    ledger.pace = async report => {
      transactions++
      return pace(report)
    }
  }
  const { signal } = new AbortController()
  let left = REQUESTS
  const begun = time.now()

  async function read(index: number, account: string): Promise<void> {
    const pace = processes[index]?.pacer.pace('backfill')
    while (pace !== undefined && left > 0) {
      left--
      for (;;) {
        const permit = await pace.acquire({ client: account, endpoint: '', cost: 1 }, signal)
        const outcome = await vendor.answer(account)
        permit.done(outcome)
        if (outcome.outcome === 'ok') break
        // As the client does: the hint, and jitter on top.
        await time.sleep((outcome.waitMs ?? 0) + 500 * random())
      }
    }
  }

  const accounts = Array.from({ length: ACCOUNTS }, (_, index) => `account ${index}`)
  await time.run(Promise.all(processes.flatMap((_, index) => accounts.map(account => read(index, account)))))
  vendor.flow()
  for (const { pacer, ledger } of processes) {
    await pacer.close()
    await ledger.close()
  }
  const result = {
    says,
    capacity,
    requests: vendor.served + vendor.throttled,
    seconds: Math.round((time.now() - begun) / 1_000),
    usedPercent: (100 * vendor.served) / vendor.allowed,
    throttledPercent: (100 * vendor.throttled) / (vendor.served + vendor.throttled),
    leastOfAccount: Math.min(...vendor.servedOf.values()),
    mostOfAccount: Math.max(...vendor.servedOf.values()),
    transactions,
  }
  t.comment(JSON.stringify(result))
  t.equal(vendor.served, REQUESTS)
  t.equal(vendor.servedOf.size, ACCOUNTS)
  t.ok(result.leastOfAccount > 0.9 * result.mostOfAccount, 'every account gets its turn')
  t.ok(transactions < REQUESTS / 4, 'the ledger is asked now and then, not for every request')
  return result
}

for (const says of ['left', 'retry-after', 'nothing'] as const) {
  t.test(
    `four processes find a limit that drifts, with less than 1 % of requests refused, where an API says ${says} of it`,
    async t => {
      const { usedPercent, throttledPercent } = await drift(t, { says, capacity: 50 })
      t.ok(usedPercent >= 90, `${usedPercent.toFixed(1)} % of what was allowed is used`)
      t.ok(throttledPercent < 1, `${throttledPercent.toFixed(2)} % of requests are refused`)
    },
  )
}

t.test(
  'an API that holds an eighth of a second and takes away a whole one for each refusal is used as well as can be',
  async t => {
    const { usedPercent, throttledPercent } = await drift(t, { says: 'retry-after', capacity: 10 })
    t.ok(usedPercent >= 85, `${usedPercent.toFixed(1)} % of what was allowed is used`)
    t.ok(throttledPercent < 1, `${throttledPercent.toFixed(2)} % of requests are refused`)
  },
)
