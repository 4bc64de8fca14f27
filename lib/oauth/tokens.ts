import { ConfigError } from '../errors.ts'
import type { Grant, SealedTokens } from '../ledger/grants.ts'
import type { OAuth } from './oauth.ts'
import type { TokenSet } from './request.ts'
import { GRANT_KEY, type Seal } from './seal.ts'

/** The tokens of a grant, readable. Instants in epoch milliseconds. */
export interface Held {
  readonly generation: number
  readonly accessToken: string
  /** Null where there is none, as for client credentials. */
  readonly refreshToken: string | null
  /** The refresh token before this one. */
  readonly previous: string | null
  readonly obtainedAt: number
  /** `Infinity` when nobody said. */
  readonly expiresAt: number
  /** `Infinity` for never. */
  readonly renewAt: number
}

/** What of an access token's life is left for requests that are on their way and for clocks that differ: a twentieth, at most 30 s. */
function reserve(lifeMs: number): number {
  return Math.min(lifeMs / 20, 30_000)
}

/** Whether an access token may be sent now. */
export function usable({ accessToken, obtainedAt, expiresAt }: Held, now: number): boolean {
  return accessToken !== '' && now < expiresAt - reserve(expiresAt - obtainedAt)
}

interface Secrets {
  readonly access: string
  readonly refresh: string | null
  readonly previous: string | null
}

/** Decrypts the tokens of a grant. */
export function open(seal: Seal, name: string, generation: number, tokens: SealedTokens): Held {
  const { access, refresh, previous } = secretsOf(name, seal.open(name, tokens.sealed))
  return {
    generation,
    accessToken: access,
    refreshToken: refresh,
    previous,
    obtainedAt: tokens.obtainedAt,
    expiresAt: tokens.expiresAt ?? Number.POSITIVE_INFINITY,
    renewAt: tokens.renewAt ?? Number.POSITIVE_INFINITY,
  }
}

/** Encrypts what a token server gave, together with what it left as it was. */
export function sealed(
  seal: Seal,
  auth: OAuth,
  name: string,
  { accessToken, refreshToken, expiresIn, refreshExpiresIn }: TokenSet,
  asked: number,
  before: { readonly held: Held | undefined; readonly grant: Grant | undefined },
): SealedTokens {
  const old = before.held?.refreshToken ?? null
  const replaced = refreshToken !== null && refreshToken !== old
  const secrets: Secrets = {
    access: accessToken,
    refresh: refreshToken ?? old,
    previous: replaced ? old : (before.held?.previous ?? null),
  }
  const expiresAt = expiresIn === null ? null : asked + expiresIn * 1_000
  return {
    sealed: seal.seal(name, JSON.stringify(secrets)),
    // From when it was asked for: the clock of the server has no say, and an answer that took long is no younger for it.
    obtainedAt: asked,
    expiresAt,
    renewAt: expiresAt === null ? null : expiresAt - lead(expiresAt - asked),
    refreshExpiresAt: refreshExpiry(auth, refreshExpiresIn, replaced, asked) ?? before.grant?.tokens?.refreshExpiresAt ?? null,
  }
}

/** A refresh token that somebody brings along, as tokens that are due for renewal. */
export function imported(seal: Seal, auth: OAuth, name: string, refreshToken: string, now: number): SealedTokens {
  const secrets: Secrets = { access: '', refresh: refreshToken, previous: null }
  return {
    sealed: seal.seal(name, JSON.stringify(secrets)),
    obtainedAt: 0,
    expiresAt: 0,
    renewAt: 0,
    refreshExpiresAt: refreshExpiry(auth, null, true, now) ?? null,
  }
}

/**
 * How long before its end an access token is renewed: a tenth of its life and at most five minutes, and up to as much again by chance, so that
 * grants which were obtained together do not all come back together.
 */
function lead(lifeMs: number): number {
  return Math.min(lifeMs / 10, 300_000) * (1 + Math.random())
}

function refreshExpiry(auth: OAuth, seconds: number | null, replaced: boolean, asked: number): number | undefined {
  if (seconds !== null) return asked + seconds * 1_000
  if (auth.flow !== 'refresh token' || auth.refreshTokenDays === undefined || !replaced) return undefined
  return asked + auth.refreshTokenDays * 86_400_000
}

function secretsOf(name: string, text: string): Secrets {
  const { access, refresh = null, previous = null }: Partial<Secrets> = JSON.parse(text)
  if (typeof access === 'string') return { access, refresh, previous }
  throw new ConfigError('GRANT_UNREADABLE', {
    message: `grant ${name}: what the ledger holds was encrypted with ${GRANT_KEY}, but is no tokens`,
    hint: 'Nothing was sent. Have the account consent again.',
  })
}
