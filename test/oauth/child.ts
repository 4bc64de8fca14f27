import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { sqlite } from '../../lib/ledger/sqlite.ts'
import { Access } from '../../lib/oauth/access.ts'
import { createTokenDispatcher } from '../../lib/oauth/wire.ts'
import { provider } from './kit.ts'

/**
 * A process with callers that all want a token: `ask` says which they got. `die` stops between the answer of the token server and the ledger, and
 * waits there to be killed.
 */
const [, , role, path = '', tokenUrl = '', grantKey = '', callers = '1'] = process.argv
const ledger = sqlite({ path })
const access = new Access({
  ledger:
    role === 'die'
      ? {
          ...ledger,
          renewGrant: async () => {
            console.log('answered')
            return new Promise(() => setInterval(() => undefined, 1_000))
          },
        }
      : ledger,
  grantKey,
  dispatcher: createTokenDispatcher(),
  now: Date.now,
  sleep: async (ms, signal) => void (await delay(ms, undefined, { signal })),
  onTokenRequest: () => undefined,
  onRenewal: () => undefined,
})
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
console.log('ready')
await lines.next()
const authorize = access.authorize(provider(tokenUrl), 'acme')
const { signal } = new AbortController()
const given = await Promise.all(Array.from({ length: Number(callers) }, () => authorize({ refused: undefined, signal })))
console.log(JSON.stringify(given.map(({ authorization }) => authorization)))
process.exit()
