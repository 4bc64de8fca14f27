import { addDays } from '../chunk.ts'
import type { PageRequest } from '../connector.ts'
import { isArray, type Json } from './json.ts'

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
