/** A value of JSON; a field without a value is left out when it is written. */
export type Json = string | number | boolean | null | readonly Json[] | JsonObject

/** An object of JSON. */
export interface JsonObject {
  readonly [key: string]: Json | undefined
}

/**
 * The value at a dotted path, or undefined where the path leaves the data. A key that itself contains dots, like `@odata.nextLink`, is found
 * where it stands last in the path.
 */
export function at(value: unknown, path: string): unknown {
  if (path === '') return value
  if (typeof value !== 'object' || value === null) return undefined
  const fields = value as Readonly<Record<string, unknown>>
  if (Object.hasOwn(fields, path)) return fields[path]
  const dot = path.indexOf('.')
  return dot === -1 || !Object.hasOwn(fields, path.slice(0, dot))
    ? undefined
    : at(fields[path.slice(0, dot)], path.slice(dot + 1))
}

/** A copy with another value at a dotted path; objects that are missing on the way are made, elements of arrays are not. */
export function withAt(json: Json | undefined, path: string, value: Json): Json {
  if (path === '') return value
  const dot = path.indexOf('.')
  const [key, rest] = dot === -1 ? [path, ''] : [path.slice(0, dot), path.slice(dot + 1)]
  if (isArray(json)) return json.map((element, index) => (String(index) === key ? withAt(element, rest, value) : element))
  const fields = typeof json === 'object' && json !== null ? json : {}
  return { ...fields, [key]: withAt(fields[key], rest, value) }
}

/** `Array.isArray` does not know arrays that are only read. */
export function isArray(json: Json | undefined): json is readonly Json[] {
  return Array.isArray(json)
}

/** What kind of thing a value is, in words; nothing of what it holds but the names of its fields. */
export function shapeOf(value: unknown): string {
  if (Array.isArray(value)) return `an array of ${value.length}`
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : `a ${typeof value}`
  return `an object with the keys ${Object.keys(value).slice(0, 10).join(', ').slice(0, 300)}`
}
