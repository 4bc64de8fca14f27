import { deepEqual, ok } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import type { Connector } from '../../lib/connector.ts'
import { HeadraceError } from '../../lib/errors.ts'
import type { ApiReply } from '../../lib/testing/connector.ts'
import { openClient, type TestClient } from '../http/setup.ts'
import { cut, RESET, type Received, type Scripted, serve } from '../servers/http.ts'
import { STYLES } from './styles.ts'

/** What a fault may be made of. */
interface Answering {
  /** What should be sent. */
  readonly right: ApiReply
  /** What was sent for the request before. */
  readonly before: ApiReply
  /** A page without records, which leads on to those that are left. */
  readonly empty: ApiReply
}

/** Everything that happens to answers: what is sent instead of the right one. */
const FAULTS = {
  throttle: () => ({ status: 429, headers: { 'retry-after': '1' } }),
  failure: () => ({ status: 500, headers: { 'content-type': 'text/html' }, body: '<html>' }),
  reset: () => RESET,
  cut: ({ right }) => cut(right.body),
  half: ({ right }) => ({ body: textOf(right.body).slice(0, -2) }),
  again: ({ before }) => before,
  empty: ({ empty }) => empty,
  drift: ({ right }) => ({ ...right, body: drifted(right.body) }),
  expired: () => ({ status: 410, body: { error: 'EXPIRED_PAGE_TOKEN' } }),
} satisfies Record<string, (answering: Answering) => Scripted>

type Fault = keyof typeof FAULTS

function textOf(body: unknown): string {
  return typeof body === 'string' ? body : JSON.stringify(body)
}

/** The same with one more of whatever is counted in it. */
function drifted(value: unknown, key = ''): unknown {
  if (/^(total|totalCount|pages)$/.test(key)) return typeof value === 'string' ? String(Number(value) + 1) : Number(value) + 1
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, drifted(inner, name)]))
}

const record = fc.record({ value: fc.oneof(fc.string({ unit: 'grapheme' }), fc.double(), fc.constant(null)) })

const api = fc.record({
  values: fc.array(record, { maxLength: 40 }),
  size: fc.integer({ min: 1, max: 15 }),
  /** What happens to the n-th answer. */
  faults: fc.array(fc.option(fc.constantFrom(...(Object.keys(FAULTS) as Fault[])), { nil: undefined, freq: 3 }), {
    maxLength: 30,
  }),
})

/** Reads like a chunk: again from the first page after an error that may pass. */
async function readChunk(
  connector: Connector<unknown>,
  client: TestClient,
  begin: () => void,
): Promise<unknown[] | HeadraceError> {
  for (let attempt = 1; ; attempt++) {
    begin()
    const arrived: unknown[] = []
    try {
      for await (const page of connector.pages({
        ...{ client: 'acme', window: { from: '2026-01-01', to: '2026-01-03' }, signal: client.abort.signal, http: client.http },
        ...{ sleep: client.sleep, now: client.now, warn: () => undefined, totals: () => undefined },
      })) {
        arrived.push(...page)
      }
      return arrived
    } catch (error) {
      if (!(error instanceof HeadraceError)) throw error
      if (error.kind !== 'transient' || attempt === 4) return error
    }
  }
}

t.test('whatever the data, the pages and the faults, every record arrives once, or there is a clear error', async t => {
  let answer: Scripted = { status: 500 }
  const server = await serve(() => answer)
  t.teardown(() => server.close())
  const met = new Map<Fault, number>()
  for (const [name, style] of Object.entries(STYLES)) {
    let [read, failed] = [0, 0]
    await fc.assert(
      fc.asyncProperty(api, async ({ values, size, faults }) => {
        const data = values.map((value, n) => ({ n, ...value }))
        const connector = style.connector(server.url, size)
        const client = openClient({ attempts: 5 }, undefined, { api: connector.api })
        const left = faults.values()
        let before: ApiReply | undefined
        let place = ''
        answer = ({ method, path, headers, body }: Received) => {
          const asked = { method, url: new URL(path, server.url), headers, body }
          const right = style.answer(asked, data, size, false)
          const empty = style.answer(asked, data, size, true)
          const fault = left.next().value
          // A page may come again in place of the next one; the answer to another question than that is no page.
          if (place !== asked.url.pathname) before = undefined
          place = asked.url.pathname
          // Where nothing but an empty page tells the end, nobody can tell a page that comes empty twice in a row from it.
          const doubled = (fault === 'again' || fault === 'empty') && before !== undefined && isEmpty(before)
          if (fault === undefined || doubled) {
            before = right
            return right
          }
          met.set(fault, (met.get(fault) ?? 0) + 1)
          const sent = FAULTS[fault]({ right, before: before ?? right, empty })
          if (fault === 'empty') before = empty
          return sent
        }
        const outcome = await readChunk(connector, client, () => {
          before = undefined
        })
        await client.destroy()
        if (Array.isArray(outcome)) {
          read++
          deepEqual(outcome, JSON.parse(JSON.stringify(data)))
        } else {
          failed++
          ok(outcome.code !== 'INTERNAL' && outcome.hint !== undefined, `${outcome.code} ${outcome.message}`)
        }
      }),
      { numRuns: 60 },
    )
    t.ok(read > 20, `${name}: ${read} read, ${failed} failed`)
  }
  t.strictSame([...met.keys()].sort(), Object.keys(FAULTS).sort(), `faults that were met: ${[...met]}`)
})

function isEmpty({ body }: ApiReply): boolean {
  return /\[\]/.test(textOf(body))
}
