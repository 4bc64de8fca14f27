import { ConfigError } from '../errors.ts'
import type { Grant, GrantLedger } from '../ledger/grants.ts'
import { grantName, type OAuth } from '../oauth/oauth.ts'
import type { Seal } from '../oauth/seal.ts'

/**
 * How a grant stands. `missing`: nobody has consented. `refused`: somebody has to consent again. `doubtful`: an answer of the token server was
 * lost, and the next renewal will tell. `unreadable`: its key is not here.
 */
export const GRANT_STATES = ['usable', 'missing', 'refused', 'doubtful', 'unreadable'] as const

/** How a grant stands. */
export type GrantState = (typeof GRANT_STATES)[number]

/** A grant as people may see it. Instants in epoch milliseconds; null for what is not known or not there. */
export interface GrantStatus {
  readonly grant: string
  readonly provider: string
  readonly state: GrantState
  /** Whether some pipeline reads a client with it. */
  readonly configured: boolean
  readonly obtainedAt: number | null
  readonly accessExpiresAt: number | null
  readonly refreshExpiresAt: number | null
  /** Whether it is encrypted with an older key, which has to stay until it is renewed. */
  readonly olderKey: boolean
  /** Why the token server refused it. */
  readonly refusal: string | null
}

/** A refresh token that ends within this time is worth a warning. */
const SOON_MS = 7 * 86_400_000

/** Every grant that the clients are read with, and every other that the ledger holds, by name. */
export async function grantStatuses(
  providers: readonly OAuth[],
  clients: readonly string[],
  ledger: GrantLedger,
  seal: Seal | undefined,
): Promise<GrantStatus[]> {
  const wanted = new Set(providers.flatMap(auth => clients.map(client => grantName(auth, client))))
  // What needs no consent is obtained when it is first needed.
  const consented = new Set(
    providers.filter(auth => auth.flow === 'refresh token').flatMap(auth => clients.map(client => grantName(auth, client))),
  )
  const known = new Map((await ledger.grants()).map(grant => [grant.name, grant]))
  const names = [...new Set([...wanted, ...known.keys()])].sort()
  return names.flatMap(name => {
    const grant = known.get(name)
    return grant === undefined && !consented.has(name) ? [] : [statusOf(name, grant, wanted.has(name), seal)]
  })
}

function statusOf(name: string, grant: Grant | undefined, configured: boolean, seal: Seal | undefined): GrantStatus {
  const tokens = grant?.tokens ?? null
  const key = tokens === null ? undefined : seal?.keyOf(tokens.sealed)
  return {
    grant: name,
    provider: name.slice(0, name.indexOf('/')),
    state: stateOf(grant, key),
    configured,
    obtainedAt: tokens?.obtainedAt || null,
    accessExpiresAt: tokens?.expiresAt || null,
    refreshExpiresAt: tokens?.refreshExpiresAt ?? null,
    olderKey: key === 'older',
    refusal: grant?.refusal ?? null,
  }
}

function stateOf(grant: Grant | undefined, key: 'newest' | 'older' | 'unknown' | undefined): GrantState {
  if (grant === undefined) return 'missing'
  if (grant.refusal !== null) return 'refused'
  if (key === 'unknown') return 'unreadable'
  return grant.intentAt !== null && !grant.renewing ? 'doubtful' : 'usable'
}

/** Whether a grant in this state cannot be used before a person has done something. */
export function needsSomebody(state: GrantState): boolean {
  return state === 'missing' || state === 'refused' || state === 'unreadable'
}

/** What became of the grants of a ledger when they were encrypted anew, by name. */
export interface Rekeyed {
  /** With the newest key now. */
  readonly rekeyed: readonly string[]
  /** With the newest key before. */
  readonly current: readonly string[]
  /** With a key that is not here, or changed by somebody: they are as they were. */
  readonly unreadable: readonly string[]
}

/** Encrypts the tokens of every grant with the newest key. May be ended at any moment, and begun again; processes that renew meanwhile are not disturbed. */
export async function rekey(ledger: GrantLedger, seal: Seal): Promise<Rekeyed> {
  const done = { rekeyed: [] as string[], current: [] as string[], unreadable: [] as string[] }
  for (const { name } of await ledger.grants()) done[await rekeyOne(name, ledger, seal)].push(name)
  return done
}

async function rekeyOne(name: string, ledger: GrantLedger, seal: Seal): Promise<keyof Rekeyed> {
  for (;;) {
    const sealed = (await ledger.grant(name))?.tokens?.sealed
    if (sealed === undefined || seal.keyOf(sealed) === 'newest') return 'current'
    let anew: string
    try {
      anew = seal.seal(name, seal.open(name, sealed))
    } catch (error) {
      if (error instanceof ConfigError && error.code === 'GRANT_UNREADABLE') return 'unreadable'
      throw error
    }
    // Somebody may have renewed it meanwhile.
    if (await ledger.rekeyGrant(name, sealed, anew)) return 'rekeyed'
  }
}

/** Days until an instant, rounded down; negative when it has passed. */
export function daysLeft(instant: number, now: number): number {
  return Math.floor((instant - now) / 86_400_000)
}

/** What is worth a warning: grants that end within a week. */
export function* endingSoon(statuses: readonly GrantStatus[], now: number): Generator<string> {
  for (const { grant, configured, refreshExpiresAt } of statuses) {
    if (!configured || refreshExpiresAt === null || refreshExpiresAt > now + SOON_MS) continue
    const days = daysLeft(refreshExpiresAt, now)
    yield `grant ${grant} ${days < 0 ? 'has ended' : `ends in ${days} days`}: have the account consent again`
  }
}
