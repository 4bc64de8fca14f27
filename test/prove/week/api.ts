import { pageToken, rest } from '../../../connectors/rest/index.ts'
import type { Connector } from '../../../lib/connector.ts'
import type { Http } from '../../../lib/http/client.ts'
import { refreshToken } from '../../../lib/oauth/oauth.ts'
import { type Received, type Scripted, type Server, serve } from '../../servers/http.ts'
import type { AdRecord } from '../../support/ads.ts'
import type { Calendar } from '../../support/calendar.ts'
import { type During, FAULTS, type PIPELINES, recordsOf, VICTIMS } from './scenario.ts'

type Api = (typeof PIPELINES)[number]

/** The refresh token that an account consents to, and the one after it was revoked. */
export const tokenOf = (account: string, consent: 1 | 2): string => `${account}.${consent}`

/** A refresh token that was revoked stays so; another consent gives another one. */
const isRevoked = (token: string, now: number, during: During): boolean =>
  token === tokenOf(VICTIMS.revoked, 1) && now >= FAULTS.revoked.from && during('revoked', FAULTS.revoked.from)

const PAGE = 150

/** The three APIs, and what gives tokens for one of them, as they are on a calendar. */
export async function serveApis(now: () => number, during: During): Promise<Server> {
  return await serve(asked => {
    const { pathname } = new URL(asked.path, 'http://localhost')
    return pathname === '/token' ? token(asked, now(), during) : records(pathname.slice(1), asked, now(), during)
  })
}

function token({ body }: Received, now: number, during: During): Scripted {
  const asked = new URLSearchParams(body).get('refresh_token') ?? ''
  if (isRevoked(asked, now, during))
    return { status: 400, body: { error: 'invalid_grant', error_description: 'Token has been revoked.' } }
  return { body: { access_token: asked, token_type: 'Bearer', expires_in: 3_600 } }
}

function records(api: string, { query, headers }: Received, now: number, during: During): Scripted {
  const account = query.get('account') ?? ''
  if ((api === 'visits' && during('hour', now)) || (api === 'shop' && during('night', now))) return { status: 503 }
  if (api === 'ads') {
    const bearer = (headers.authorization ?? '').replace('Bearer ', '')
    if (!bearer.startsWith(`${account}.`) || isRevoked(bearer, now, during))
      return { status: 401, body: { error: 'invalid_token' } }
  }
  if (api === 'visits' && during('quota', now) && account === VICTIMS.quota) {
    return { status: 429, headers: { 'retry-after': String(Math.ceil((FAULTS.quota.to - now) / 1_000)) } }
  }
  const all = recordsOf(api, account, { from: query.get('from') ?? '', to: query.get('to') ?? '' }, now, during)
  const first = Number(query.get('page') ?? 0)
  const next = first + PAGE < all.length ? { next: first + PAGE } : {}
  return { body: { records: all.slice(first, first + PAGE), ...next } }
}

/** A connector to one of them, whose waits are spent on the calendar. */
export function connectorTo(api: Api, url: string, calendar: () => Calendar): Connector<AdRecord> {
  const source = rest<AdRecord>({
    name: `${api}-api`,
    url: `${url}/${api}`,
    query: { account: '{client}', from: '{from}', to: '{to}' },
    records: 'records',
    pages: pageToken({ param: 'page', next: 'next' }),
    ...(api === 'ads'
      ? { auth: refreshToken({ provider: 'ads', tokenUrl: `${url}/token`, clientId: 'headrace', rotation: 'none' }) }
      : {}),
  })
  const patient = (http: Http): Http => ({
    ...http,
    ahead: (url, asked) => {
      const answer = calendar().patiently(() => http.ahead(url, asked))
      return () => calendar().patiently(answer)
    },
  })
  return { ...source, pages: request => source.pages({ ...request, http: patient(request.http) }) }
}
