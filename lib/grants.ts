import type { Grant, GrantLedger } from './ledger/grants.ts'
import { grantName, type OAuth } from './oauth/oauth.ts'
import type { Seal } from './oauth/seal.ts'

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
