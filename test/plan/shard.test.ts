import * as fc from 'fast-check'
import t from 'tap'
import { splitWindow } from '../../lib/chunk.ts'
import { type Part, parseShard, partOf, shardText } from '../../lib/plan/shard.ts'

const MAY = { from: '2025-05-01', to: '2025-05-31' }

/** The chunks of a part, as text. */
function chunksOf(part: Part | undefined, days: number): string[] {
  if (part === undefined) return []
  return part.clients.flatMap(client => splitWindow(part.window, days).map(({ from, to }) => `${client} ${from} ${to}`))
}

t.test('all shards together have every chunk exactly once, however many there are, and none is cut', t => {
  const clients = fc.uniqueArray(fc.string(), { minLength: 1, maxLength: 40 })
  const proven = fc.check(
    fc.property(clients, fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 40 }), (clients, count, days) => {
      const whole = { window: MAY, clients }
      const parts = Array.from({ length: count }, (_, index) => partOf({ index, count }, whole, days))
      const dealt = parts.flatMap(part => chunksOf(part, days))
      const all = chunksOf(whole, days)
      return dealt.length === all.length && new Set(dealt).symmetricDifference(new Set(all)).size === 0
    }),
    { seed: 5 },
  )
  t.equal(proven.failed, false, fc.defaultReportMessage(proven) ?? 'all held')
  t.end()
})

t.test('a client is in the same shard whoever else is there, on every host and in every version', t => {
  const shardWith = (client: string, others: readonly string[]): number =>
    [0, 1, 2, 3, 4].findIndex(index =>
      partOf({ index, count: 5 }, { window: MAY, clients: [client, ...others] }, 1)?.clients.includes(client),
    )
  t.strictSame(
    ['acme', 'globex', 'initech', 'Müller'].map(client => shardWith(client, ['umbrella'])),
    [2, 0, 3, 2],
  )
  t.equal(shardWith('acme', ['a', 'b', 'c']), shardWith('acme', ['z']))
  t.end()
})

t.test('a single client is dealt out by its days, in parts that differ by a chunk at most', t => {
  const parts = [0, 1, 2].map(index => partOf({ index, count: 3 }, { window: MAY, clients: ['acme'] }, 3)?.window)
  t.strictSame(parts, [
    { from: '2025-05-01', to: '2025-05-09' },
    { from: '2025-05-10', to: '2025-05-21' },
    { from: '2025-05-22', to: '2025-05-31' },
  ])
  t.end()
})

t.test('a shard is i/n, and i counts from 0', t => {
  for (const text of ['0/1', '3/20', '19/20']) t.equal(shardText(parseShard(text) ?? { index: 9, count: 9 }), text)
  for (const wrong of ['', '1', '1/1', '20/20', '-1/2', '0/0', '1.5/2', '1/2/3', ' 0/2', '0/1000000000', 'undefined/2']) {
    t.equal(parseShard(wrong), undefined, wrong)
  }
  t.end()
})
