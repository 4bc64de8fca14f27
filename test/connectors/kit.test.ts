import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { pageToken, rest } from '../../connectors/rest/index.ts'
import type { Connector, PageRequest } from '../../lib/connector.ts'
import { DataError } from '../../lib/errors.ts'
import { CONNECTOR_CASES, type ConnectorHost } from '../../lib/testing/connector.ts'
import { hostOf, STYLES } from './styles.ts'

const DATA = Array.from({ length: 7 }, (_, n) => ({ n }))

/** A host like that of the style, with another connector made of the right one. */
function spoilt(spoil: (right: Connector<unknown>, url: string) => Connector<unknown>): ConnectorHost {
  const style = STYLES['page token with totals']
  if (style === undefined) throw new Error('the style has another name')
  const host = hostOf(style, DATA, 3)
  return { ...host, connector: url => spoil(host.connector(url), url) }
}

type Pages = (right: Connector<unknown>, request: PageRequest) => AsyncIterable<readonly unknown[]>
const withPages = (pages: Pages) => (right: Connector<unknown>) => ({
  ...right,
  pages: (request: PageRequest) => pages(right, request),
})

/** Connectors that break the contract, and the first case of the kit that says so. */
const BROKEN: Readonly<Record<string, readonly [(right: Connector<unknown>, url: string) => Connector<unknown>, string]>> = {
  'stops after a page': [
    withPages(async function* (right, request) {
      for await (const page of right.pages(request)) return yield page
    }),
    'every record arrives once, and the walk ends',
  ],
  'gives a page twice': [
    withPages(async function* (right, request) {
      for await (const page of right.pages(request)) yield* [page, page]
    }),
    'every record arrives once, and the walk ends',
  ],
  'can be read once': [
    right => {
      let read = false
      return withPages(async function* (_, request) {
        if (!read) yield* right.pages(request)
        read = true
      })(right)
    },
    'it reads the same again, also several times at once',
  ],
  'takes its time to stop': [
    withPages(async function* (right, request) {
      try {
        yield* right.pages(request)
      } finally {
        if (request.signal.aborted) await delay(1_200)
      }
    }),
    'whatever request it waits for, an abort ends it within a second',
  ],
  'takes an abort for the end': [
    withPages(async function* (right, request) {
      try {
        yield* right.pages(request)
      } catch (error) {
        if (!request.signal.aborted) throw error
      }
    }),
    'whatever request it waits for, an abort ends it within a second',
  ],
  'leaves a rejection behind': [
    withPages(async function* (right, request) {
      void Promise.reject(new Error('nobody'))
      yield* right.pages(request)
    }),
    'a reader that stops early leaves nothing behind',
  ],
  'does not wait': [right => ({ ...right, api: { waits: [] } }), 'it waits as long as the API asks'],
  'takes an error for the end': [
    withPages(async function* (right, request) {
      try {
        yield* right.pages(request)
      } catch (error) {
        if (request.signal.aborted) throw error
      }
    }),
    'an API that stays broken is tried again later, one that refuses waits for a person',
  ],
  'throws what nobody knows': [
    withPages(async function* (right, request) {
      try {
        yield* right.pages(request)
      } catch {
        throw new Error('something went wrong')
      }
    }),
    'an API that stays broken is tried again later, one that refuses waits for a person',
  ],
  'does not know how large its pages are': [
    (_right, url) => {
      const pages = pageToken({ param: 'token', next: 'next' })
      return rest({
        name: 'items',
        url: `${url}/v1/{client}`,
        records: 'data',
        pages,
        headers: { authorization: 'planted-secret-token' },
      })
    },
    'a field of the answer that is renamed, emptied or of another type is noticed, if it matters',
  ],
  'keeps to itself what the API states': [
    withPages((right, request) => right.pages({ ...request, totals: () => undefined })),
    'what the API states that its records add up to is said, and the same each time',
  ],
  'asks on its own': [
    (right, url) =>
      withPages(async function* (_, request) {
        yield* right.pages(request)
        await (await fetch(`${url}/v1/totals`)).arrayBuffer()
      })(right),
    'every request goes through http, which keeps the pace',
  ],
  'quotes its credentials': [
    withPages(async function* (right, request) {
      try {
        yield* right.pages(request)
      } catch (cause) {
        throw new DataError('PAGE_MALFORMED', { message: 'refused with planted-secret-token', cause })
      }
    }),
    'no secret shows in an error or a warning, even if the API repeats it',
  ],
}

for (const [name, [spoil, title]] of Object.entries(BROKEN)) {
  t.test(`the kit finds a connector that ${name}`, async t => {
    const found = CONNECTOR_CASES.find(one => one.title === title)
    await t.rejects(found?.run(() => spoilt(spoil)) ?? Promise.resolve())
  })
}
