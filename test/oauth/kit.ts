import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Authorization } from '../../lib/http/client.ts'
import type { Ledger } from '../../lib/ledger/ledger.ts'
import { sqlite } from '../../lib/ledger/sqlite.ts'
import { Access } from '../../lib/oauth/access.ts'
import { type OAuth, type RefreshTokenOptions, refreshToken } from '../../lib/oauth/oauth.ts'
import { createTokenDispatcher } from '../../lib/oauth/wire.ts'
import { folder } from '../ledger/kit.ts'

/** A key for grants. */
export const KEY = randomBytes(32).toString('base64')

/** Time that only the test moves. */
export class VirtualTime {
  now = Date.UTC(2026, 0, 31, 6)
  readonly #sleepers = new Set<{ readonly until: number; readonly wake: () => void }>()
  #slept: (() => void)[] = []

  /** Milliseconds until each wake-up, in the order they were asked for. */
  get waits(): number[] {
    return [...this.#sleepers].map(({ until }) => until - this.now)
  }

  readonly sleep = (ms: number, signal: AbortSignal): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const sleeper = { until: this.now + ms, wake: resolve }
    const abort = (): void => {
      this.#sleepers.delete(sleeper)
      reject(signal.reason)
    }
    if (signal.aborted) abort()
    else {
      signal.addEventListener('abort', abort, { once: true })
      this.#sleepers.add(sleeper)
      for (const told of this.#slept.splice(0)) told()
    }
    return promise
  }

  advance(ms: number): void {
    this.now += ms
    for (const sleeper of this.#sleepers) {
      if (sleeper.until > this.now) continue
      this.#sleepers.delete(sleeper)
      sleeper.wake()
    }
  }

  /** Resolves when somebody sleeps for that long. */
  async sleeping(ms: number): Promise<void> {
    while (!this.waits.includes(ms)) await new Promise<void>(resolve => this.#slept.push(resolve))
  }
}

/** What `provider()` is, unless said otherwise: a provider whose refresh tokens rotate. */
export function provider(tokenUrl: string, more: Partial<RefreshTokenOptions> = {}): OAuth {
  return refreshToken({
    provider: 'books',
    tokenUrl,
    clientId: 'headrace',
    clientSecret: () => 'planted-client-secret',
    rotation: 'strict',
    ...more,
  })
}

/** The access of one process, on a ledger that others may share. */
export interface Opened {
  readonly ledger: Ledger
  readonly path: string
  readonly access: Access
  /** Headers for the client `acme`. */
  headers(refused?: Authorization): Promise<Authorization>
  /** What became of each request for tokens. */
  readonly outcomes: readonly string[]
  /** Resolves when that many renewals are over. */
  renewals(count: number): Promise<void>
}

/** Opens the access of a process to a provider; with `path`, to the ledger of another. */
export function openAccess(
  t: Test,
  auth: OAuth,
  time: VirtualTime,
  more: {
    readonly path?: string
    readonly owner?: string
    readonly wrap?: (ledger: Ledger) => Ledger
    readonly key?: string
  } = {},
): Opened {
  const path = more.path ?? join(folder(t), 'ledger.sqlite')
  const plain = sqlite({ path, now: () => time.now, ...(more.owner === undefined ? {} : { owner: more.owner }) })
  const ledger = more.wrap?.(plain) ?? plain
  const dispatcher = createTokenDispatcher()
  const outcomes: string[] = []
  let over = 0
  const waiting: (() => void)[] = []
  const access = new Access({
    ledger,
    grantKey: more.key ?? KEY,
    dispatcher,
    now: () => time.now,
    sleep: time.sleep,
    onTokenRequest: outcome => outcomes.push(outcome),
    onRenewal: () => {
      over++
      for (const told of waiting.splice(0)) told()
    },
  })
  t.teardown(async () => {
    await dispatcher.destroy()
    await plain.close()
  })
  const { signal } = new AbortController()
  return {
    ledger,
    path,
    access,
    outcomes,
    headers: refused => access.authorize(auth, 'acme')({ refused, signal }),
    renewals: async count => {
      while (over < count) await new Promise<void>(resolve => waiting.push(resolve))
    },
  }
}

/** The error of work that must fail. */
export async function failure(work: Promise<unknown>): Promise<unknown> {
  const outcome = await work.then(
    value => ({ value }),
    (error: unknown) => ({ error }),
  )
  if ('error' in outcome) return outcome.error
  throw new Error(`it did not fail, but gave ${JSON.stringify(outcome.value)}`)
}
