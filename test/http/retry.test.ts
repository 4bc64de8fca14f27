import fc from 'fast-check'
import t from 'tap'
import type { ApiAnswer } from '../../lib/http/policy.ts'
import { backoff, hintedWait } from '../../lib/http/retry.ts'
import { retryAfter } from '../../lib/http/signals.ts'
import { NOW } from './setup.ts'

function answerWith(header: string | string[] | undefined): ApiAnswer {
  return { status: 429, headers: { 'retry-after': header }, text: '', body: undefined }
}

t.test('a wait is chosen evenly between nothing and the doubled base, and never passes the cap', async t => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 2_000 }),
      fc.integer({ min: 0, max: 60_000 }),
      fc.integer({ min: 0, max: 600_000 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (attempt, baseMs, capMs, dice) => {
        const bound = baseMs === 0 ? 0 : Math.min(capMs, baseMs * 2 ** (attempt - 1))
        const wait = backoff(attempt, { baseMs, capMs }, () => dice)
        return wait >= 0 && wait <= bound && Math.abs(wait - dice * bound) <= 0.5
      },
    ),
  )
  t.equal(
    backoff(1, { baseMs: 500, capMs: 30_000 }, () => 0),
    0,
    'full jitter may not wait at all',
  )
  t.equal(
    backoff(3, { baseMs: 500, capMs: 30_000 }, () => 0.5),
    1_000,
  )
  t.equal(
    backoff(60, { baseMs: 500, capMs: 30_000 }, () => 1),
    30_000,
  )
})

t.test('the dice are thrown anew for every wait', async t => {
  const waits = new Set(Array.from({ length: 50 }, () => backoff(10, { baseMs: 500, capMs: 30_000 })))
  t.ok(waits.size > 10, `${waits.size} different waits of 50`)
})

t.test('Retry-After asks for a wait in seconds or until a date; what is neither asks for nothing', async t => {
  const cases: [string | string[] | undefined, number | undefined][] = [
    ['3', 3_000],
    [' 3 ', 3_000],
    ['0.25', 250],
    ['86400', 86_400_000],
    ['Sat, 31 Jan 2026 12:00:30 GMT', 30_000],
    ['Saturday, 31-Jan-26 12:00:30 GMT', 30_000],
    [undefined, undefined],
    ['', undefined],
    ['0', undefined],
    ['-5', undefined],
    ['Sat, 31 Jan 2026 11:59:59 GMT', undefined],
    ['soon', undefined],
    ['10s', undefined],
    ['1e3', undefined],
    ['Infinity', undefined],
    ['retry after 3000', undefined],
    ['Maybe, 3000 GMT', undefined],
    ['on Feb 5 2026', undefined],
    ['5, 7', undefined],
    // The instant of a reset instead of a wait, in seconds and in milliseconds.
    [String(NOW / 1_000 + 30), undefined],
    [String(NOW + 30_000), undefined],
    ['9'.repeat(400), undefined],
    [[], undefined],
    [['2', '7'], 7_000],
    [['7', '2'], 7_000],
    [['garbage', '2'], 2_000],
  ]
  for (const [header, wait] of cases) t.equal(hintedWait(answerWith(header), [retryAfter], NOW), wait, JSON.stringify(header))
})

t.test('no header at all makes a wait that is not a positive number', async () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.array(fc.string()), fc.date().map(String), fc.double().map(String)), header => {
      const wait = hintedWait(answerWith(header), [retryAfter], NOW)
      return wait === undefined || (wait > 0 && wait <= 31 * 86_400_000)
    }),
  )
})
