import { addDays } from '../chunk.ts'
import type { PageRequest } from '../connector.ts'
import { ConfigError } from '../errors.ts'
import { isArray, type Json } from './json.ts'
import { safeText } from './redact.ts'

/** What stands for a placeholder. */
export type Values = Readonly<Record<string, string>>

/**
 * The placeholders of a chunk: `{client}`, `{from}` and `{to}`, its first and last day, and `{until}`, the day after the last, for an API that
 * takes the end of a range as excluded.
 */
export function valuesOf({ client, window: { from, to } }: Pick<PageRequest, 'client' | 'window'>): Values {
  return { client, from, to, until: addDays(to, 1) }
}

/** The text with values for its placeholders, each of them encoded. Braces around anything else stay as they are. */
export function fill(text: string, values: Values, encode = (value: string): string => value): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => (Object.hasOwn(values, name) ? encode(values[name] ?? '') : whole))
}

/** The same for every text within JSON. */
export function fillJson(json: Json, values: Values): Json {
  if (typeof json === 'string') return fill(json, values)
  if (typeof json !== 'object' || json === null) return json
  if (isArray(json)) return json.map(inner => fillJson(inner, values))
  return Object.fromEntries(
    Object.entries(json).map(([key, inner]) => [key, inner === undefined ? inner : fillJson(inner, values)]),
  )
}

/** An address with placeholders, or a function of nothing that gives it when it is first needed. */
export type Address = string | (() => string)

/** Query parameters, with placeholders. */
export type Query = Readonly<Record<string, string | number>>

/** The address of a connector with values for its placeholders, or `CONFIG_INVALID`. In its path and query they are encoded. */
export function addressOf(connector: string, address: Address, query: Query, values: Values): URL {
  const text = fill(typeof address === 'string' ? address : address(), values, encodeURIComponent)
  const url = URL.parse(text)
  if (url === null) {
    throw new ConfigError('CONFIG_INVALID', {
      message: `connector ${connector}: ${JSON.stringify(safeText(text))} is not an absolute address`,
      hint: 'Nothing was sent. Correct the url of the connector.',
    })
  }
  for (const [param, value] of Object.entries(query)) url.searchParams.set(param, fill(String(value), values))
  return url
}
