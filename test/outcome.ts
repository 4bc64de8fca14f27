import { inspect } from 'node:util'
import type { Test } from 'tap'
import { Refusal } from '../lib/convert.ts'

/** What a converter makes of a value: the value, or the rule it was refused by, marked with an exclamation mark. */
export function outcome(converter: (value: unknown) => unknown, value: unknown): unknown {
  try {
    return converter(value)
  } catch (thrown) {
    if (thrown instanceof Refusal) return `!${thrown.rule}`
    throw thrown
  }
}

/** Compares what a converter makes of many values; nothing at all is refused by every one. */
export function outcomes(t: Test, converter: (value: unknown) => unknown, cases: readonly (readonly [unknown, unknown])[]): void {
  for (const [value, expected] of cases) t.equal(outcome(converter, value), expected, inspect(value))
  t.equal(outcome(converter, null), '!required')
  t.equal(outcome(converter, undefined), '!required')
}
