import { deepEqual, equal, fail, ok } from 'node:assert/strict'
import { HeadraceError } from '../errors.ts'
import type { ApiReply, Treatment } from './api.ts'
import { type ConnectorHost, type Outcome, type Trial, textsOf, untouched, withTrial } from './trial.ts'

export type { ApiReply, ApiRequest } from './api.ts'
export type { ConnectorHost } from './trial.ts'

/** One thing that every connector must do. */
export interface ConnectorCase {
  readonly title: string
  /** Throws an assertion error when the connector does not. `open` is called once for each reading: an API that remembers begins anew. */
  run(open: () => ConnectorHost): Promise<void>
}

/** Longest wait for an end after an abort, in milliseconds. */
const ABORTED_WITHIN = 1_000

/** Everything that the contract of a connector promises, one case each. */
export const CONNECTOR_CASES: readonly ConnectorCase[] = [
  {
    title: 'every record arrives once, and the walk ends',
    run: async open => {
      await withTrial(open(), untouched, async ({ read }) => complete(await read(), open()))
    },
  },
  {
    title: 'it reads the same again, also several times at once',
    run: async open => {
      await withTrial(open(), untouched, async ({ read }) => {
        complete(await read(), open())
        for (const outcome of await Promise.all([read(), read()])) complete(outcome, open())
      })
    },
  },
  {
    title: 'what the API states that its records add up to is said, and the same each time',
    run: async open => {
      await withTrial(open(), untouched, async ({ read }) => {
        const { totals } = await read()
        const expected = open().totals
        equal(totals.length > 0, expected !== undefined)
        for (const stated of totals) deepEqual(stated, expected)
      })
    },
  },
  {
    title: 'every request goes through http, which keeps the pace',
    run: async open => {
      await withTrial(open(), untouched, async ({ read, server, http }) => {
        await read()
        equal(http.usage.requests, server.requests.length)
      })
    },
  },
  {
    title: 'whatever request it waits for, an abort ends it within a second',
    run: async open => {
      for (const turn of await turnsOf(open)) {
        for (const hang of ['silence', 'stall'] as const) await aborted(open(), turn, hang)
      }
    },
  },
  {
    title: 'a reader that stops early leaves nothing behind',
    run: async open => {
      const rejections: unknown[] = []
      const note = (reason: unknown): number => rejections.push(reason)
      process.on('unhandledRejection', note)
      try {
        await withTrial(open(), untouched, async ({ pages, read }) => {
          for await (const _ of pages()) break
          complete(await read(), open())
        })
      } finally {
        process.off('unhandledRejection', note)
      }
      deepEqual(rejections, [])
    },
  },
  {
    title: 'it waits as long as the API asks',
    run: async open => {
      const wait = { status: 429, headers: { 'retry-after': '7' }, body: {} }
      await eachOnce(
        open,
        () => wait,
        (outcome, { waits }, turn) => {
          complete(outcome, open(), `request ${turn}`)
          ok(
            waits.some(ms => ms >= 7_000),
            `request ${turn}: asked for 7 s, waited ${waits} ms`,
          )
        },
      )
    },
  },
  {
    title: 'what passes is survived, or the chunk is tried again; fewer records are never a success',
    run: async open => {
      for (const treatment of ['reset', 'cut', { status: 503, body: '<html>' }, { body: '<html>' }] satisfies Treatment[]) {
        await eachOnce(
          open,
          () => treatment,
          (outcome, _, turn) => {
            if (outcome.error === undefined) complete(outcome, open(), `request ${turn}`)
            else equal(kindOf(outcome.error), 'transient', `request ${turn}: ${outcome.error}`)
          },
        )
      }
    },
  },
  {
    title: 'an API that stays broken is tried again later, one that refuses waits for a person',
    run: async open => {
      const stays = (turn: number, status: number) =>
        withTrial(
          open(),
          (at, reply) => (at < turn ? reply : { status, body: {} }),
          async ({ read }) => (await read()).error,
        )
      for (const turn of await turnsOf(open)) {
        equal(kindOf(await stays(turn, 500)), 'transient', `500 from request ${turn} on`)
        for (const status of [401, 403, 404]) {
          const error = await stays(turn, status)
          ok(error instanceof HeadraceError && error.code !== 'INTERNAL', `${status} from request ${turn} on: ${error}`)
          if (turn === 1) equal(error.kind, 'config', `${status} to the first request`)
        }
      }
    },
  },
  {
    title: 'an answer that comes a second time, in place of the next one, is noticed',
    run: async open => {
      for (const turn of (await turnsOf(open)).slice(1)) {
        let before: ApiReply | undefined
        const again = (at: number, reply: ApiReply): Treatment => {
          const sent = at === turn && before !== undefined ? before : reply
          before = reply
          return sent
        }
        await withTrial(open(), again, async ({ read }) => noticed(await read(), open(), `answer ${turn}`))
      }
    },
  },
  {
    title: 'a field of the answer that is renamed, emptied or of another type is noticed, if it matters',
    run: async open => {
      for (const turn of await turnsOf(open)) {
        for (const path of await pathsOf(open, turn)) {
          for (const change of CHANGES) {
            const changed = (at: number, reply: ApiReply): Treatment =>
              at === turn ? { ...reply, body: changedAt(reply.body, path, change) } : reply
            await withTrial(open(), changed, async ({ read }) =>
              noticed(await read(), open(), `answer ${turn}: ${path.join('.')} ${change}`),
            )
          }
        }
      }
    },
  },
  {
    title: 'no secret shows in an error or a warning, even if the API repeats it',
    run: async open => {
      const { secrets } = open()
      ok(secrets.length > 0 && secrets.every(({ length }) => length >= 12), 'the host names its secrets')
      for (const status of [200, 302, 400, 401, 500]) {
        for (const turn of await turnsOf(open)) {
          const echo = (at: number, reply: ApiReply, asked: { url: URL; headers: object; body: string }): Treatment => {
            const told = `${asked.url.href} ${JSON.stringify(asked.headers)} ${asked.body}`
            return at < turn ? reply : { status, headers: { location: asked.url.href }, body: { error: told } }
          }
          await withTrial(open(), echo, async ({ read, server }) => {
            const { error, warnings } = await read()
            for (const secret of secrets) {
              ok(
                server.requests.some(({ headers, url, body }) =>
                  `${url.href} ${JSON.stringify(headers)} ${body}`.includes(secret),
                ),
              )
              const shown = [...textsOf(error), ...warnings].find(text => text.includes(secret))
              equal(shown, undefined, `${status} to request ${turn}`)
            }
          })
        }
      }
    },
  },
]

/** The requests of an undisturbed reading, counted from 1. */
async function turnsOf(open: () => ConnectorHost): Promise<number[]> {
  return withTrial(open(), untouched, async ({ read, server }) => {
    await read()
    return server.requests.map((_, index) => index + 1)
  })
}

/** Aborts while an answer does not come, or stops in the middle. */
async function aborted(host: ConnectorHost, turn: number, hang: 'silence' | 'stall'): Promise<void> {
  const hanging = (at: number, reply: ApiReply): Treatment => (at === turn ? hang : reply)
  await withTrial(host, hanging, async ({ read, server, abort }) => {
    const reading = read()
    await server.arrived(turn)
    const started = performance.now()
    abort.abort(new Error('given up'))
    const { error } = await reading
    const took = performance.now() - started
    ok(error !== undefined, `request ${turn}, ${hang}: it ended as if nothing had been aborted`)
    ok(took < ABORTED_WITHIN, `request ${turn}, ${hang}: it took ${took} ms`)
  })
}

/** Reads once for each request, which is treated in some way the first time it comes. */
async function eachOnce(
  open: () => ConnectorHost,
  treat: () => Treatment,
  check: (outcome: Outcome, trial: Trial, turn: number) => void,
): Promise<void> {
  for (const turn of await turnsOf(open)) {
    const once = (at: number, reply: ApiReply): Treatment => (at === turn ? treat() : reply)
    await withTrial(open(), once, async trial => check(await trial.read(), trial, turn))
  }
}

function complete({ records, error }: Outcome, host: ConnectorHost, what = 'reading'): void {
  if (error !== undefined) fail(`${what}: ${error}`)
  deepEqual(records, host.records.map(record => JSON.stringify(record)).sort(), what)
}

/** Either nothing is missing, or somebody is told. */
function noticed(outcome: Outcome, host: ConnectorHost, what: string): void {
  if (outcome.error === undefined && outcome.warnings.length === 0) complete(outcome, host, what)
  else if (outcome.error !== undefined) ok(kindOf(outcome.error) !== undefined, `${what}: ${outcome.error}`)
}

function kindOf(error: unknown): string | undefined {
  return error instanceof HeadraceError && error.code !== 'INTERNAL' ? error.kind : undefined
}

const CHANGES = ['renamed', 'emptied', 'of another type'] as const

type Change = (typeof CHANGES)[number]

/** The paths to all fields of an answer outside its arrays: what stands within is the business of the mapping. */
async function pathsOf(open: () => ConnectorHost, turn: number): Promise<string[][]> {
  let found: string[][] = []
  const look = (at: number, reply: ApiReply): Treatment => {
    if (at === turn) found = pathsIn(reply.body)
    return reply
  }
  await withTrial(open(), look, ({ read }) => read())
  return found
}

function pathsIn(value: unknown): string[][] {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || Buffer.isBuffer(value)) return []
  return Object.entries(value).flatMap(([key, inner]) => [[key], ...pathsIn(inner).map(path => [key, ...path])])
}

function changedAt(value: unknown, [key = '', ...rest]: readonly string[], change: Change): unknown {
  if (typeof value !== 'object' || value === null) return value
  const { [key]: inner, ...others }: Record<string, unknown> = { ...value }
  if (rest.length > 0) return { ...others, [key]: changedAt(inner, rest, change) }
  if (change === 'renamed') return { ...others, [`${key}2`]: inner }
  return { ...others, [key]: change === 'emptied' ? null : { value: inner } }
}
