import { type HeadraceError, TransientError } from '../errors.ts'
import type { Authorization, Authorize } from '../http/client.ts'
import { backoff } from '../http/retry.ts'
import type { Grant, GrantLedger } from '../ledger/grants.ts'
import { clientRefused, grantRefused, missing, notStored, unavailable } from './errors.ts'
import { grantName, type OAuth } from './oauth.ts'
import { requestTokens, type TokenAnswer } from './request.ts'
import { Seal } from './seal.ts'
import { type Held, open, sealed, usable } from './tokens.ts'
import { TOKEN_DEADLINE_MS, type Wire } from './wire.ts'

/** What the access to grants needs of its surroundings. */
export interface AccessHost extends Wire {
  readonly ledger: GrantLedger
  /** What `HEADRACE_GRANT_KEY` says; it is looked at when the first grant is needed. */
  readonly grantKey: string | undefined
  /** Told of every request for tokens, and what became of it. */
  onTokenRequest(outcome: TokenAnswer['outcome']): void
  /** A renewal is over, one way or the other. */
  onRenewal(): void
}

/** Longer than a renewal can take, so that a claim does not run out under it. */
const LEASE_MS = 2 * TOKEN_DEADLINE_MS + 30_000

/**
 * Where a refresh token dies when it is used and an answer was lost, the old one is sent again only after this time: the request without an
 * answer may still wait somewhere, and to come before it would be taken for theft.
 */
const QUIET_MS = 2 * TOKEN_DEADLINE_MS

/** How often a token is renewed because the API does not accept it: when the new one fares no better, none will. */
const UNACCEPTED_MS = 300_000

/** A wait for the token server that is slept; a longer one is told. */
const LONGEST_WAIT_MS = 60_000

/** How often one looks whether another process has renewed. */
const POLL_MS = 100

/** How long an application that was refused is not let try again. */
const REFUSED_MS = 300_000

const STORE_TRIES = 3

/** Tokens that could not be stored yet. */
interface Unstored {
  readonly generation: number
  readonly tokens: Parameters<GrantLedger['renewGrant']>[2]
}

/**
 * Access tokens that are valid now, for all chunks of a process. A grant is renewed by one caller at a time, in this process and in all that
 * share the ledger; what it obtained is durable before anybody uses it.
 */
export class Access {
  readonly #host: AccessHost
  #seal: Seal | undefined
  readonly #held = new Map<string, Held>()
  readonly #renewals = new Map<string, Promise<Held>>()
  readonly #unstored = new Map<string, Unstored>()
  readonly #failures = new Map<string, number>()
  readonly #refusedClients = new Map<string, { readonly error: HeadraceError; readonly until: number }>()
  /** When a grant was last renewed because the API did not accept its token. */
  readonly #unaccepted = new Map<string, number>()
  /** Which generation headers were made of. */
  readonly #given = new WeakMap<Authorization, number>()
  readonly #closing = new AbortController()

  constructor(host: AccessHost) {
    this.#host = host
  }

  /** What encrypts the grants; `GRANT_KEY_INVALID` without a key. */
  get seal(): Seal {
    this.#seal ??= new Seal(this.#host.grantKey)
    return this.#seal
  }

  /** Gives the headers that authorize requests for the data of a client. */
  authorize(auth: OAuth, client: string): Authorize {
    // Whoever gives up leaves the renewal to itself: others wait for it as well, and to break it off loses tokens.
    return async ({ refused }) => {
      const generation = refused === undefined ? undefined : this.#given.get(refused)
      const held = await this.#current(auth, grantName(auth, client), generation)
      const headers = auth.headers?.(held.accessToken) ?? { authorization: `Bearer ${held.accessToken}` }
      const given = { ...headers }
      this.#given.set(given, held.generation)
      return given
    }
  }

  /** Renews a grant now, or uses what another process has just obtained. */
  async renew(auth: OAuth, name: string): Promise<void> {
    const grant = await this.#host.ledger.grant(name)
    await this.#renewal(auth, name, grant?.generation ?? 0)
  }

  /**
   * Waits for renewals under way, because to break them off loses tokens, and tries once more to store what could not be stored. Returns the
   * names of grants whose newest tokens are lost.
   */
  async close(): Promise<string[]> {
    this.#closing.abort(new TransientError('ABORTED', { message: 'stopped while waiting for a token' }))
    await Promise.allSettled(this.#renewals.values())
    const lost: string[] = []
    for (const name of this.#unstored.keys()) {
      await this.#storeLate(name).catch(() => lost.push(name))
    }
    return lost
  }

  #current(auth: OAuth, name: string, refused: number | undefined): Promise<Held> {
    const held = this.#held.get(name)
    if (held === undefined || held.generation === refused) return this.#renewal(auth, name, refused)
    const now = this.#host.now()
    if (now < held.renewAt) return Promise.resolve(held)
    const renewal = this.#renewal(auth, name, undefined)
    if (!usable(held, now)) return renewal
    // Ahead of its end nobody has to wait for the next one; a failure is told when it matters.
    renewal.catch(() => undefined)
    return Promise.resolve(held)
  }

  /** The renewal of a grant in this process: one at a time, for whoever asks. */
  #renewal(auth: OAuth, name: string, refused: number | undefined): Promise<Held> {
    const underWay = this.#renewals.get(name)
    if (underWay !== undefined) {
      if (refused === undefined) return underWay
      return underWay.then(held => (held.generation === refused ? this.#renewal(auth, name, refused) : held))
    }
    const renewal = this.#renew(auth, name, refused).finally(() => {
      this.#renewals.delete(name)
      this.#host.onRenewal()
    })
    this.#renewals.set(name, renewal)
    return renewal
  }

  async #renew(auth: OAuth, name: string, refused: number | undefined): Promise<Held> {
    const { ledger, now } = this.#host
    // Before anything is obtained that could not be kept.
    const seal = this.seal
    for (let renewed = false; ; ) {
      const barred = this.#refusedClients.get(name)
      if (barred !== undefined && now() < barred.until) throw barred.error
      await this.#storeLate(name)
      const grant = await ledger.grant(name)
      if (grant?.refusal != null) throw grantRefused(name, grant.refusal)
      const held = grant?.tokens == null ? undefined : open(seal, name, grant.generation, grant.tokens)
      if (held === undefined && auth.flow === 'refresh token') throw missing(name)
      const unaccepted = held !== undefined && held.generation === refused
      const stands = unaccepted && now() < (this.#unaccepted.get(name) ?? 0) + UNACCEPTED_MS
      // What was just obtained is used even if it ends at once: to ask again would give the same.
      if (held !== undefined && (renewed || stands || (!unaccepted && now() < held.renewAt))) {
        this.#held.set(name, held)
        return held
      }
      // Another process may be at it, or the server may not be there: as long as the token lives nobody has to wait for either.
      const spare = held !== undefined && !unaccepted && usable(held, now()) ? held : undefined
      const waitMs = (grant?.notBefore ?? 0) - now()
      if (waitMs > 0) {
        if (spare !== undefined) return spare
        if (waitMs > LONGEST_WAIT_MS) throw unavailable(name, 'it gave none a short time ago', grant?.notBefore)
        await this.#pause(waitMs)
        continue
      }
      if (grant?.renewing === true) {
        if (spare !== undefined) return spare
        await this.#pause(POLL_MS)
        continue
      }
      const claim = await ledger.claimGrant(name, grant?.generation ?? 0, LEASE_MS)
      if (claim.outcome === 'claimed') {
        if (unaccepted) this.#unaccepted.set(name, now())
        renewed = await this.#ask(auth, name, grant, held, claim)
      }
    }
  }

  /** Asks for tokens and stores them; false when the ledger has to be looked at again. */
  async #ask(
    auth: OAuth,
    name: string,
    grant: Grant | undefined,
    held: Held | undefined,
    { claimId, interruptedAt }: { readonly claimId: string; readonly interruptedAt: number | null },
  ): Promise<boolean> {
    const { ledger, now } = this.#host
    const generation = grant?.generation ?? 0
    const rotation = auth.flow === 'refresh token' ? auth.rotation : 'none'
    const release = (intentAt: number | null, notBefore: number): Promise<void> =>
      ledger.releaseGrant(name, claimId, { intentAt, notBefore })
    if (rotation === 'strict' && interruptedAt !== null && now() < interruptedAt + QUIET_MS) {
      await release(interruptedAt, interruptedAt + QUIET_MS)
      return false
    }
    const asked = now()
    let answer: TokenAnswer
    try {
      answer = await this.#request(auth, name, held?.refreshToken ?? null)
      if (answer.outcome === 'refused' && held !== undefined) {
        // Somebody may have renewed with a token that this process did not know of.
        if ((await ledger.grant(name))?.generation !== generation) return false
        const { previous } = held
        const grace = typeof rotation === 'object' && asked < held.obtainedAt + rotation.graceSeconds * 1_000
        if (grace && previous !== null) answer = await this.#request(auth, name, previous)
      }
    } catch (error) {
      await release(interruptedAt, 0)
      throw error
    }
    switch (answer.outcome) {
      case 'granted':
        this.#failures.delete(name)
        await this.#store(name, { generation, tokens: sealed(this.seal, auth, name, answer.tokens, asked, { held, grant }) })
        return true
      case 'refused':
        if (auth.flow === 'refresh token') {
          const refusal = interruptedAt === null ? answer.problem : `${answer.problem}; ${lostAt(interruptedAt)}`
          if (!(await ledger.refuseGrant(name, generation, refusal))) return false
          throw grantRefused(name, refusal)
        }
        return this.#bar(name, answer.problem, release(null, 0))
      case 'client-refused':
        return this.#bar(name, answer.problem, release(interruptedAt, 0))
      case 'failed':
      case 'lost': {
        const failures = (this.#failures.get(name) ?? 0) + 1
        this.#failures.set(name, failures)
        const lost = answer.outcome === 'lost' && rotation !== 'none'
        const pause = 1_000 + backoff(failures, { baseMs: 2_000, capMs: 60_000 })
        const hinted = answer.outcome === 'failed' ? answer.waitMs : 0
        const notBefore = lost && rotation === 'strict' ? asked + QUIET_MS : now() + Math.max(pause, hinted)
        await release(lost ? asked : interruptedAt, notBefore)
        if (held !== undefined && usable(held, now())) return false
        throw unavailable(name, answer.problem, notBefore - now() > LONGEST_WAIT_MS ? notBefore : undefined)
      }
    }
  }

  async #request(auth: OAuth, name: string, refreshToken: string | null): Promise<TokenAnswer> {
    const answer = await requestTokens(auth, name, refreshToken, this.#host)
    this.#host.onTokenRequest(answer.outcome)
    return answer
  }

  /** The new pair, durable before it is used. */
  async #store(name: string, unstored: Unstored): Promise<void> {
    this.#unstored.set(name, unstored)
    for (let tries = 1; ; tries++) {
      try {
        return await this.#storeLate(name)
      } catch (error) {
        if (tries >= STORE_TRIES) throw error
        await this.#pause(tries * 500)
      }
    }
  }

  async #storeLate(name: string): Promise<void> {
    const unstored = this.#unstored.get(name)
    if (unstored === undefined) return
    try {
      // Whether it was stored or the grant has moved on: either way the ledger now holds the newest.
      await this.#host.ledger.renewGrant(name, unstored.generation, unstored.tokens)
    } catch (error) {
      throw notStored(name, error)
    }
    this.#unstored.delete(name)
  }

  async #bar(name: string, problem: string, released: Promise<void>): Promise<never> {
    await released
    const error = clientRefused(name, problem)
    this.#refusedClients.set(name, { error, until: this.#host.now() + REFUSED_MS })
    throw error
  }

  #pause(ms: number): Promise<void> {
    return this.#host.sleep(ms, this.#closing.signal)
  }
}

function lostAt(at: number): string {
  return `an earlier answer was lost at ${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC, and the new refresh token with it`
}
