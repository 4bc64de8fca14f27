import type { Authorize } from './http/client.ts'
import type { Metrics } from './metrics.ts'
import { Access, type AccessHost } from './oauth/access.ts'
import type { OAuth } from './oauth/oauth.ts'
import { TOKEN_OUTCOMES } from './oauth/request.ts'
import { createTokenDispatcher } from './oauth/wire.ts'
import { endingSoon, GRANT_STATES, type GrantStatus, grantStatuses } from './standing/grants.ts'

/** What the access of a run to its API needs. */
export interface RunAccessHost extends Pick<AccessHost, 'ledger' | 'grantKey' | 'now' | 'sleep'> {
  readonly metrics: Metrics
  /** Says something a person should know although the run goes on. */
  warn(name: 'GRANT_EXPIRING', message: string): void
}

/** The access of a run to its API. */
export interface RunAccess {
  /** What authorizes requests for the data of a client; undefined where the connector declares no OAuth. */
  authorize(client: string): Authorize | undefined
  /** Ends it; returns the names of grants whose newest tokens could not be stored. */
  close(): Promise<string[]>
}

/**
 * Opens the access to the APIs that authorize in one way, for the clients that are read now. Throws `GRANT_KEY_INVALID` when there is no key, before anything is read; what is wrong with one
 * grant is told when its client is read, and keeps nobody else.
 */
export async function openAccess(
  auth: OAuth | undefined,
  clients: () => readonly string[],
  host: RunAccessHost,
): Promise<RunAccess> {
  if (auth === undefined) return { authorize: () => undefined, close: async () => [] }
  const { provider } = auth
  const providers = [auth]
  const { metrics } = host
  const dispatcher = createTokenDispatcher()
  const access = new Access({
    ...host,
    dispatcher,
    onTokenRequest: outcome => metrics.tokenRequests.inc({ provider, outcome }),
    onRenewal: () => void survey().catch(() => undefined),
  })
  const { seal } = access
  async function survey(): Promise<readonly GrantStatus[]> {
    const statuses = await grantStatuses(providers, clients(), host.ledger, seal)
    const own = statuses.filter(({ configured }) => configured)
    for (const state of GRANT_STATES) {
      metrics.grants.set({ provider, state }, own.filter(status => status.state === state).length)
    }
    const ends = own.flatMap(({ refreshExpiresAt }) => refreshExpiresAt ?? [])
    if (ends.length > 0) metrics.credentialExpiry.set({ provider }, Math.min(...ends) / 1_000)
    return own
  }
  for (const outcome of TOKEN_OUTCOMES) metrics.tokenRequests.inc({ provider, outcome }, 0)
  for (const message of endingSoon(await survey(), host.now())) host.warn('GRANT_EXPIRING', message)
  return {
    authorize: client => access.authorize(auth, client),
    close: async () => {
      try {
        return await access.close()
      } finally {
        await dispatcher.close()
      }
    },
  }
}
