import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'

/** A token server that others have written (oidc-provider), with rotation and reuse detection, in a process of its own. */
export interface TokenServer {
  readonly url: string
  readonly tokenUrl: string
  /** A refresh token that an account has consented to. */
  issue(): Promise<string>
  /** Requests for tokens that were granted and refused, and grants that were revoked because a token was used twice. */
  counts(): Promise<{ readonly granted: number; readonly refused: number; readonly revoked: number }>
  /** Whether an access token is good. */
  valid(token: string): Promise<boolean>
  /** Ends an access token. */
  expire(token: string): Promise<void>
}

/** Starts a token server; used refresh tokens still work for so many seconds. */
export async function startTokenServer(t: Test, { graceSeconds }: { readonly graceSeconds: number }): Promise<TokenServer> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'oidc-child.ts'), String(graceSeconds)], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const url = String((await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next()).value)
  const control = async (path: string): Promise<unknown> => (await fetch(`${url}/control/${path}`)).json()
  return {
    url,
    tokenUrl: `${url}/token`,
    issue: async () => String(await control('issue')),
    counts: async () => (await control('counts')) as Awaited<ReturnType<TokenServer['counts']>>,
    valid: async token => (await control(`valid?token=${encodeURIComponent(token)}`)) === true,
    expire: async token => void (await control(`expire?token=${encodeURIComponent(token)}`)),
  }
}
