/** A JSON object nothing is known about. */
export type Json = { readonly [name: string]: unknown }

/** The value as an object; an empty one if it is anything else, because unknown fields are ignored. */
export function object(value: unknown): Json {
  return isObject(value) ? value : {}
}

/** Whether a value is a JSON object, not an array and not null. */
export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The value as an array; an empty one if it is anything else. */
export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

/** The value as text, if it is. */
export function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** A whole number, which the API takes as a number or as text. */
export function integer(value: unknown): number | undefined {
  if (typeof value === 'string' && /^-?\d+$/.test(value)) return Number(value)
  return typeof value === 'number' && Number.isInteger(value) ? value : undefined
}

/** The object without what is undefined: an absent key is not a null. */
export function compact(value: Json): Json {
  return Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== undefined))
}
