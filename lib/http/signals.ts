import type { LimitState } from '../pace/pace.ts'
import { at } from './json.ts'
import type { ApiAnswer, ReadLimits, ReadWait } from './policy.ts'
import { LONGEST_WAIT_MS } from './retry.ts'

/** A unit of time that an API counts in. */
export type TimeUnit = 'ms' | 's' | 'min'

const UNIT_MS: Readonly<Record<TimeUnit, number>> = { ms: 1, s: 1_000, min: 60_000 }

/** Values that are looked through for a field, at most: an error is small, and whoever sends a large one gets no more of our time. */
const MOST_VALUES = 1_000

/** The values of a header, in the order they came; servers may write several into one line. */
function valuesOf({ headers }: ApiAnswer, name: string): string[] {
  return [headers[name.toLowerCase()] ?? []].flat().map(text => text.trim())
}

/** A number of JSON or of a header; `NaN` for anything else. `Number` alone takes the empty text for 0. */
function numberOf(value: unknown): number {
  if (typeof value === 'number') return value
  return typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : Number.NaN
}

/** The largest of some numbers; `NaN` for none. */
function largest(numbers: readonly number[]): number {
  const real = numbers.filter(Number.isFinite)
  return real.length === 0 ? Number.NaN : Math.max(...real)
}

/** Every value of a field, at whatever depth. */
function everywhere(value: unknown, field: string): unknown[] {
  const found: unknown[] = []
  const left: unknown[] = [value]
  for (let seen = 0; left.length > 0 && seen < MOST_VALUES; seen++) {
    const next = left.pop()
    if (typeof next !== 'object' || next === null) continue
    if (Object.hasOwn(next, field)) found.push((next as Readonly<Record<string, unknown>>)[field])
    left.push(...Object.values(next).slice(0, MOST_VALUES))
  }
  return found
}

/** The JSON in a header; undefined when there is none, or something else. */
function jsonIn(answer: ApiAnswer, header: string): unknown {
  try {
    return JSON.parse(valuesOf(answer, header).join(','))
  } catch {
    return undefined
  }
}

/**
 * `Retry-After`, in seconds or as an HTTP date; the longest where it stands more than once. RFC 9110, section 10.2.3; sent by Xero, HubSpot,
 * Klaviyo, GitHub (secondary limits) and most others.
 */
export const retryAfter: ReadWait = (answer, now) =>
  largest(
    valuesOf(answer, 'retry-after')
      // `Date.parse` alone finds a year in almost any text.
      .map(text => (/^[A-Z][a-z]+, .* GMT$/.test(text) ? Date.parse(text) - now : numberOf(text) * 1_000))
      .filter(wait => wait <= LONGEST_WAIT_MS),
  )

/** A header with a wait in a unit of its own, like `retry-after-ms`, which some Azure services send. */
export function waitHeader(header: string, unit: TimeUnit): ReadWait {
  return answer => largest(valuesOf(answer, header).map(text => numberOf(text) * UNIT_MS[unit]))
}

/**
 * A header with the instant at which a limit is whole again, counted since 1970. It counts only when `remaining`, another header, is 0: such APIs send
 * both with every answer. GitHub: `resetHeader('x-ratelimit-reset', { unit: 's', remaining: 'x-ratelimit-remaining' })`.
 */
export function resetHeader(
  header: string,
  { unit, remaining }: { readonly unit: TimeUnit; readonly remaining?: string },
): ReadWait {
  return (answer, now) => {
    if (remaining !== undefined && valuesOf(answer, remaining).some(text => numberOf(text) !== 0)) return undefined
    return largest(valuesOf(answer, header).map(text => numberOf(text) * UNIT_MS[unit])) - now
  }
}

/**
 * A field of the body of an error, at whatever depth, with a duration like `"30s"` or `"0.5s"`, as Google's APIs write it: `retryDelay` of
 * google.rpc.RetryInfo, and of quotaErrorDetails of Google Ads.
 */
export function waitField(field: string): ReadWait {
  return ({ body }) => largest(everywhere(body, field).map(value => numberOf(/^(.*)s$/.exec(String(value))?.[1] ?? '') * 1_000))
}

/**
 * A fixed wait, for an API that says nothing: QuickBooks documents 60 seconds, Search Console 15 minutes for its short-term load. Stands last, for
 * the readers after it are never asked.
 */
export function fixedWait(seconds: number): ReadWait {
  return () => seconds * 1_000
}

/**
 * The cost bucket in every answer of Shopify's GraphQL Admin API, at `extensions.cost`: the exact time until there is as much as the request was estimated
 * to cost.
 */
export function costWait(path: string): ReadWait {
  return ({ body }) => {
    const cost = at(body, path)
    const { available, rate } = bucketOf(cost)
    return ((numberOf(at(cost, 'requestedQueryCost')) - available) / rate) * 1_000
  }
}

/** What the same cost bucket says is left: points of one shop for this application. */
export function costLeft(path: string): ReadLimits {
  return ({ body }) => {
    const { available, rate, maximum } = bucketOf(at(body, path))
    if (!(available >= 0 && maximum > 0)) return []
    return [
      { bucket: 'account', remaining: available, limit: maximum, ...known('resetMs', ((maximum - available) / rate) * 1_000) },
    ]
  }
}

function bucketOf(cost: unknown): { readonly available: number; readonly rate: number; readonly maximum: number } {
  const [available = Number.NaN, rate = Number.NaN, maximum = Number.NaN] = [
    'currentlyAvailable',
    'restoreRate',
    'maximumAvailable',
  ].map(name => numberOf(at(cost, `throttleStatus.${name}`)))
  return { available, rate, maximum }
}

/** One headered limit. */
export interface LeftHeaders {
  readonly bucket: LimitState['bucket']
  /** What it is called where it is watched. Default: it is not. */
  readonly name?: string
  /** Header with the number of requests that are left. */
  readonly remaining: string
  /** Header with the number of requests there are in all. */
  readonly limit?: string
  /** Header that says when they are whole again. */
  readonly reset?: string
  /** What that header counts: `s` from now, the default (Klaviyo's `ratelimit-reset`), or `epoch`, seconds since 1970 (GitHub). */
  readonly resetIs?: 's' | 'epoch'
}

/** What headers say is left. Xero: `x-minlimit-remaining`, `x-daylimit-remaining`, `x-appminlimit-remaining`; HubSpot: `x-hubspot-ratelimit-remaining`. */
export function leftHeaders({ bucket, name, remaining, limit, reset, resetIs = 's' }: LeftHeaders): ReadLimits {
  return (answer, now) => {
    const number = (header: string | undefined): number =>
      header === undefined ? Number.NaN : largest(valuesOf(answer, header).map(numberOf))
    const left = number(remaining)
    if (!(left >= 0)) return []
    const resetMs = resetIs === 's' ? number(reset) * 1_000 : number(reset) * 1_000 - now
    return [{ bucket, ...called(name), remaining: left, ...known('limit', number(limit)), ...known('resetMs', resetMs) }]
  }
}

/** A header with JSON that says which percentage is used. */
export interface UsedHeader {
  readonly bucket: LimitState['bucket']
  /** What it is called where it is watched. Default: it is not. */
  readonly name?: string
  readonly header: string
  /** Fields with percentages, at whatever depth; the largest counts. */
  readonly percent: readonly string[]
  /** Field with the time until it is whole again, and its unit. */
  readonly reset?: readonly [field: string, unit: TimeUnit]
}

/**
 * Which share a header says is used. Meta: `x-business-use-case-usage` with `call_count`, `total_cputime`, `total_time` and
 * `estimated_time_to_regain_access` in minutes; `x-app-usage` with the same percentages; `x-ad-account-usage` with `acc_id_util_pct` and
 * `reset_time_duration` in seconds.
 */
export function usedHeader({ bucket, name, header, percent, reset }: UsedHeader): ReadLimits {
  return answer => {
    const json = jsonIn(answer, header)
    const usedRatio = largest(percent.flatMap(field => everywhere(json, field)).map(numberOf)) / 100
    if (!(usedRatio >= 0)) return []
    const resetMs = reset === undefined ? Number.NaN : largest(everywhere(json, reset[0]).map(numberOf)) * UNIT_MS[reset[1]]
    return [{ bucket, ...called(name), usedRatio, ...known('resetMs', resetMs) }]
  }
}

/** The wait in such a header. */
export function usedWait(header: string, field: string, unit: TimeUnit): ReadWait {
  return answer => largest(everywhere(jsonIn(answer, header), field).map(numberOf)) * UNIT_MS[unit]
}

/**
 * An object in the body with what is `remaining` of several quotas, by name; of those named here. With a `limit` they are watched, by the same name. GA4, when asked with `returnPropertyQuota`, at
 * `propertyQuota`: `tokensPerHour`, `tokensPerDay`, `tokensPerProjectPerHour`, `concurrentRequests`, `serverErrorsPerProjectPerHour`.
 */
export function quotaLeft(
  path: string,
  quotas: Readonly<Record<string, { readonly bucket: LimitState['bucket']; readonly limit?: number }>>,
): ReadLimits {
  return ({ body }) =>
    Object.entries(quotas).flatMap(([name, { bucket, limit = Number.NaN }]) => {
      const remaining = numberOf(at(body, `${path}.${name}.remaining`))
      return remaining >= 0 ? [{ bucket, name, remaining, ...known('limit', limit) }] : []
    })
}

/** The name, where there is one. */
function called(name: string | undefined): Pick<LimitState, 'name'> {
  return name === undefined ? {} : { name }
}

/** A field that is there when its number is one, and positive or 0. */
function known(name: 'limit' | 'resetMs', value: number): Pick<LimitState, 'limit' | 'resetMs'> {
  return value >= 0 && Number.isFinite(value) ? { [name]: value } : {}
}
