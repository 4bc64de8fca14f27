import fc from 'fast-check'
import t from 'tap'
import type { AnswerHeaders, ApiAnswer, ReadLimits, ReadWait } from '../../lib/http/policy.ts'
import { hintedWait } from '../../lib/http/retry.ts'
import {
  costLeft,
  costWait,
  fixedWait,
  leftHeaders,
  quotaLeft,
  resetHeader,
  retryAfter,
  usedHeader,
  usedWait,
  waitField,
  waitHeader,
} from '../../lib/http/signals.ts'
import { NOW } from './setup.ts'

/** An answer with these headers and this body. */
function answer(headers: AnswerHeaders, body?: unknown): ApiAnswer {
  return { status: 429, headers, text: '', body }
}

const SECONDS = NOW / 1_000
const GITHUB = resetHeader('X-RateLimit-Reset', { unit: 's', remaining: 'X-RateLimit-Remaining' })

/** As Google Ads tells of a spent quota. */
const GOOGLE = {
  error: {
    code: 429,
    details: [
      {
        errors: [{ errorCode: { quotaError: 'RESOURCE_EXHAUSTED' }, details: { quotaErrorDetails: { retryDelay: '30s' } } }],
        requestId: 'abc',
      },
    ],
  },
}

/** As Shopify tells of its bucket. */
function shopify(requestedQueryCost: unknown, currentlyAvailable: unknown): unknown {
  const throttleStatus = { maximumAvailable: 2_000.0, currentlyAvailable, restoreRate: 100.0 }
  return { extensions: { cost: { requestedQueryCost, actualQueryCost: null, throttleStatus } } }
}

const META = {
  'x-business-use-case-usage': JSON.stringify({
    123: [
      { type: 'ads_insights', call_count: 20, total_cputime: 96, total_time: 5, estimated_time_to_regain_access: 3 },
      { type: 'ads_management', call_count: 1, total_cputime: 1, total_time: 1, estimated_time_to_regain_access: 0 },
    ],
  }),
  'x-ad-account-usage': JSON.stringify({ acc_id_util_pct: 74.5, reset_time_duration: 100 }),
}

t.test('a wait is found wherever an API tells it', async t => {
  const cases: [string, ReadWait, ApiAnswer, number | undefined][] = [
    ['milliseconds in a header', waitHeader('retry-after-ms', 'ms'), answer({ 'retry-after-ms': '250' }), 250],
    ['minutes in a header', waitHeader('x-wait', 'min'), answer({ 'x-wait': '2' }), 120_000],
    ['no such header', waitHeader('x-wait', 'min'), answer({}), undefined],
    ['a reset', GITHUB, answer({ 'x-ratelimit-reset': String(SECONDS + 20), 'x-ratelimit-remaining': '0' }), 20_000],
    [
      'a reset with something left',
      GITHUB,
      answer({ 'x-ratelimit-reset': String(SECONDS + 20), 'x-ratelimit-remaining': '9' }),
      undefined,
    ],
    ['a reset in the past', GITHUB, answer({ 'x-ratelimit-reset': String(SECONDS - 1) }), undefined],
    ['a reset in milliseconds', resetHeader('x-reset', { unit: 'ms' }), answer({ 'x-reset': String(NOW + 500) }), 500],
    ['a delay deep in a body', waitField('retryDelay'), answer({}, GOOGLE), 30_000],
    ['a delay with a fraction', waitField('retryDelay'), answer({}, { retryDelay: '0.5s' }), 500],
    ['a delay of another kind', waitField('retryDelay'), answer({}, { retryDelay: 'soon' }), undefined],
    ['no body', waitField('retryDelay'), answer({}), undefined],
    ['a cost', costWait('extensions.cost'), answer({}, shopify(252, 52)), 2_000],
    ['a cost that is covered', costWait('extensions.cost'), answer({}, shopify(252, 300)), undefined],
    ['a cost that is not said', costWait('extensions.cost'), answer({}, shopify(null, 300)), undefined],
    [
      'minutes in JSON in a header',
      usedWait('x-business-use-case-usage', 'estimated_time_to_regain_access', 'min'),
      answer(META),
      180_000,
    ],
    ['seconds in JSON in a header', usedWait('x-ad-account-usage', 'reset_time_duration', 's'), answer(META), 100_000],
    ['no JSON in a header', usedWait('x-app-usage', 'a', 's'), answer({ 'x-app-usage': '{"a":' }), undefined],
    ['what is documented', fixedWait(900), answer({}), 900_000],
  ]
  for (const [name, read, from, wait] of cases) t.equal(hintedWait(from, [read], NOW), wait, name)
})

t.test('of several places the first that tells a wait counts', async t => {
  const readers = [waitField('retryDelay'), retryAfter, GITHUB, fixedWait(60)]
  const reset = { 'x-ratelimit-reset': String(SECONDS + 20), 'x-ratelimit-remaining': '0' }
  t.equal(hintedWait(answer({ ...reset, 'retry-after': '5' }, GOOGLE), readers, NOW), 30_000)
  t.equal(hintedWait(answer({ ...reset, 'retry-after': '5' }), readers, NOW), 5_000)
  t.equal(hintedWait(answer({ ...reset, 'retry-after': '0' }), readers, NOW), 20_000)
  t.equal(hintedWait(answer({}), readers, NOW), 60_000)
})

t.test('what is left is read wherever an API tells it', async t => {
  const headers = {
    'x-minlimit-remaining': '57',
    'x-ratelimit-limit': '5000',
    'x-ratelimit-remaining': '4921',
    'x-ratelimit-reset': String(SECONDS + 60),
    'ratelimit-remaining': '2',
    'ratelimit-reset': '8',
  }
  const percent = ['call_count', 'total_cputime', 'total_time']
  const quota = { propertyQuota: { tokensPerHour: { consumed: 3, remaining: 39_997 }, concurrentRequests: { remaining: 10 } } }
  const cases: [string, ReadLimits, ApiAnswer, unknown][] = [
    [
      'Xero',
      leftHeaders({ bucket: 'account', remaining: 'X-MinLimit-Remaining' }),
      answer(headers),
      [{ bucket: 'account', remaining: 57 }],
    ],
    [
      'GitHub',
      leftHeaders({
        bucket: 'app',
        name: 'hour',
        remaining: 'x-ratelimit-remaining',
        limit: 'x-ratelimit-limit',
        reset: 'x-ratelimit-reset',
        resetIs: 'epoch',
      }),
      answer(headers),
      [{ bucket: 'app', name: 'hour', remaining: 4_921, limit: 5_000, resetMs: 60_000 }],
    ],
    [
      'Klaviyo',
      leftHeaders({ bucket: 'endpoint', remaining: 'ratelimit-remaining', reset: 'ratelimit-reset' }),
      answer(headers),
      [{ bucket: 'endpoint', remaining: 2, resetMs: 8_000 }],
    ],
    [
      'Meta, of a business',
      usedHeader({
        bucket: 'account',
        header: 'x-business-use-case-usage',
        percent,
        reset: ['estimated_time_to_regain_access', 'min'],
      }),
      answer(META),
      [{ bucket: 'account', usedRatio: 0.96, resetMs: 180_000 }],
    ],
    [
      'Meta, of an account',
      usedHeader({ bucket: 'account', header: 'x-ad-account-usage', percent: ['acc_id_util_pct'] }),
      answer(META),
      [{ bucket: 'account', usedRatio: 0.745 }],
    ],
    [
      'Shopify',
      costLeft('extensions.cost'),
      answer({}, shopify(1, 1_500)),
      [{ bucket: 'account', remaining: 1_500, limit: 2_000, resetMs: 5_000 }],
    ],
    [
      'GA4',
      quotaLeft('propertyQuota', { tokensPerHour: { bucket: 'account', limit: 40_000 }, tokensPerDay: { bucket: 'account' } }),
      answer({}, quota),
      [{ bucket: 'account', name: 'tokensPerHour', remaining: 39_997, limit: 40_000 }],
    ],
  ]
  for (const [name, read, from, left] of cases) {
    t.same(read(from, NOW), left, name)
    t.same(read(answer({}, null), NOW), [], `${name}, when nothing is said`)
  }
})

t.test('garbage where a signal should be is no signal, and no error', async () => {
  const garbage = fc.oneof(fc.string(), fc.array(fc.string()), fc.double().map(String), fc.json())
  const bodies = fc.oneof(
    fc.jsonValue(),
    fc.record({ extensions: fc.jsonValue(), retryDelay: fc.jsonValue(), propertyQuota: fc.jsonValue() }),
  )
  const waits: ReadWait[] = [
    retryAfter,
    waitHeader('h', 'ms'),
    resetHeader('h', { unit: 's' }),
    waitField('retryDelay'),
    costWait('extensions'),
    usedWait('h', 'a', 'min'),
  ]
  const left: ReadLimits[] = [
    costLeft('extensions'),
    leftHeaders({ bucket: 'app', name: 'day', remaining: 'h', reset: 'h' }),
    usedHeader({ bucket: 'app', header: 'h', percent: ['a'], reset: ['a', 's'] }),
    quotaLeft('propertyQuota', { a: { bucket: 'app' } }),
  ]
  fc.assert(
    fc.property(garbage, bodies, (header, body) => {
      const from = answer({ h: header, 'retry-after': header }, body)
      const wait = hintedWait(from, waits, NOW)
      const states = left.flatMap(read => read(from, NOW))
      return (
        (wait === undefined || (wait > 0 && wait <= 31 * 86_400_000)) &&
        states.every(({ bucket, name, ...numbers }) =>
          Object.values(numbers).every(value => Number.isFinite(value) && value >= 0),
        )
      )
    }),
  )
})

t.test('a body made to be searched for long is not', async t => {
  let deep: unknown = { retryDelay: '5s' }
  for (let level = 0; level < 5_000; level++) deep = { deep }
  t.equal(hintedWait(answer({}, deep), [waitField('retryDelay')], NOW), undefined)
})
