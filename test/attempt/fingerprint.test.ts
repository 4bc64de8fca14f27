import fc from 'fast-check'
import t from 'tap'
import { Fingerprint, KeyTable, rowHash } from '../../lib/attempt/fingerprint.ts'

function hashOf(bytes: Uint8Array, start = 0, end = bytes.length): [number, number] {
  rowHash.over(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), start, end)
  return [rowHash.a, rowHash.b]
}

/** The fingerprint of a set of lines. */
function print(lines: readonly string[]): string {
  const fingerprint = new Fingerprint()
  for (const line of lines) fingerprint.add(...hashOf(Buffer.from(line)))
  return String(fingerprint)
}

/** Rows of two columns, as the lines that are hashed. */
const rows = fc.array(fc.tuple(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 })), { minLength: 1, maxLength: 30 })

function line([first, second]: readonly [string, string]): string {
  return `${JSON.stringify(first)},${JSON.stringify(second)}\n`
}

t.test('a fingerprint does not depend on the order of the rows', async () => {
  fc.assert(
    fc.property(
      rows.chain(drawn => fc.tuple(fc.constant(drawn), fc.shuffledSubarray(drawn, { minLength: drawn.length }))),
      ([drawn, shuffled]) => print(drawn.map(line)) === print(shuffled.map(line)),
    ),
  )
})

t.test('a fingerprint changes with every row that goes, comes, or comes twice', async () => {
  fc.assert(
    fc.property(rows, fc.nat(), (drawn, pick) => {
      const lines = drawn.map(line)
      const index = pick % lines.length
      const without = lines.toSpliced(index, 1)
      const twice = [...lines, lines[index] as string]
      return new Set([print(lines), print(without), print(twice)]).size === 3
    }),
  )
})

t.test('a fingerprint changes with every character', async () => {
  fc.assert(
    fc.property(rows, fc.nat(), fc.nat(), fc.integer({ min: 1, max: 255 }), (drawn, pick, place, change) => {
      const lines = drawn.map(row => Buffer.from(line(row)))
      const bytes = Buffer.from(lines[pick % lines.length] as Buffer)
      const at = place % bytes.length
      bytes[at] = (bytes[at] as number) ^ change
      const [before, after] = [hashOf(lines[pick % lines.length] as Buffer), hashOf(bytes)]
      return before[0] !== after[0] && before[1] !== after[1]
    }),
    { numRuns: 1_000 },
  )
})

t.test('a fingerprint changes when a value moves to the next column, or to the row beside it', async t => {
  t.not(print([line(['a', ''])]), print([line(['', 'a'])]))
  t.not(print([line(['ab', 'c'])]), print([line(['a', 'bc'])]))
  t.not(print([line(['a', 'b']), line(['c', 'd'])]), print([line(['a', 'd']), line(['c', 'b'])]))
  fc.assert(
    fc.property(rows, fc.nat(), (drawn, pick) => {
      const index = pick % drawn.length
      const [first, second] = drawn[index] as [string, string]
      fc.pre(first !== second)
      return print(drawn.map(line)) !== print(drawn.with(index, [second, first]).map(line))
    }),
  )
})

t.test('nothing has the fingerprint of zeros, and a row does not cancel itself out', async t => {
  t.equal(print([]), '0000000000000000')
  t.not(print(['a\n']), '0000000000000000')
  for (const half of [print(['a\n', 'a\n']).slice(0, 8), print(['a\n', 'a\n']).slice(8)]) t.not(half, '00000000')
  t.match(print(['a\n']), /^[0-9a-f]{16}$/)
})

t.test('the hash of a stretch of bytes is that of its bytes alone, wherever they lie', async () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 40 }),
      fc.uint8Array({ maxLength: 9 }),
      fc.uint8Array({ maxLength: 9 }),
      (row, before, after) => {
        const page = Buffer.concat([before, row, after])
        const alone = hashOf(row)
        const within = hashOf(page, before.length, before.length + row.length)
        return alone[0] === within[0] && alone[1] === within[1]
      },
    ),
  )
})

/** How many different values there are. */
function distinct(values: Int32Array | BigUint64Array): number {
  const sorted: ArrayLike<number | bigint> = values.slice().sort()
  return Array.from(sorted).filter((value, index) => index === 0 || value !== sorted[index - 1]).length
}

t.test('hundreds of thousands of rows have as many hashes, whether they differ by much or by little', async t => {
  const count = 300_000
  let state = 1
  const random = (): number => {
    // xorshift: the same rows every time.
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state
  }
  for (const [what, row] of [
    ['counted', (index: number) => Buffer.from(`acct-${index % 10},2026-01-01,${index},0.01\n`)],
    ['random', () => Buffer.from(Int32Array.from({ length: 6 }, random).buffer)],
  ] as const) {
    const lanes = [new Int32Array(count), new Int32Array(count)] as const
    const both = new Int32Array(2 * count)
    for (let index = 0; index < count; index++) {
      const [a, b] = hashOf(row(index))
      lanes[0][index] = a
      lanes[1][index] = b
      both.set([a, b], 2 * index)
    }
    t.equal(distinct(new BigUint64Array(both.buffer)), count, what)
    // Of n draws from 2^32 about n^2 / 2^33 repeat, here 10; a half that mixes badly repeats far more often.
    for (const lane of lanes) t.ok(distinct(lane) > count - 50, what)
  }
})

t.test('zeros are told apart by how many they are', async t => {
  const hashes = Array.from({ length: 64 }, (_, length) => hashOf(new Uint8Array(length)).join())
  t.equal(new Set(hashes).size, 64)
})

t.test('a key table says whether a key is new, the same row again, or another row', async t => {
  const keys = new KeyTable(10)
  t.equal(keys.add(1, 2, 3, 4), 'new')
  t.equal(keys.add(1, 2, 3, 4), 'same')
  t.equal(keys.add(1, 2, 3, 5), 'other')
  t.equal(keys.add(1, 2, 5, 4), 'other')
  t.equal(keys.add(2, 1, 3, 4), 'new', 'the halves of a key are not exchangeable')
  t.equal(keys.add(1, 2, 3, 4), 'same', 'the first row of a key stays the one compared with')
  t.equal(keys.add(0, 0, 3, 4), 'new')
  t.equal(keys.add(0, 0, 3, 4), 'same', 'a key of zeros is a key')
  t.notOk(keys.overflowed)
})

t.test('a key table holds any keys, also zeros and those that collide, like a map does', async () => {
  const half = fc.oneof(fc.integer({ min: -2, max: 2 }), fc.integer(), fc.constantFrom(-(2 ** 31), 2 ** 31 - 1, 4_096, 8_192))
  fc.assert(
    fc.property(fc.array(fc.tuple(half, half, fc.nat({ max: 2 })), { maxLength: 300 }), entries => {
      const keys = new KeyTable(1_000)
      const map = new Map<string, number>()
      return entries.every(([a, b, row]) => {
        // The key of two zeros is documented to share the place of its neighbour.
        const key = `${a === 0 && b === 0 ? 1 : a} ${b}`
        const before = map.get(key)
        if (before === undefined) map.set(key, row)
        return keys.add(a, b, row, row) === (before === undefined ? 'new' : before === row ? 'same' : 'other')
      })
    }),
  )
})

t.test('a key table finds every key again after it has grown', async t => {
  const keys = new KeyTable(100_000)
  const key = (index: number): [number, number] => hashOf(Buffer.from(String(index)))
  let wrong = 0
  for (let index = 0; index < 50_000; index++) if (keys.add(...key(index), index, index) !== 'new') wrong++
  for (let index = 0; index < 50_000; index++) {
    if (keys.add(...key(index), index, index) !== 'same') wrong++
    if (keys.add(...key(index), index, index + 1) !== 'other') wrong++
  }
  t.equal(wrong, 0)
  t.notOk(keys.overflowed)
})

t.test('a full key table lets new keys by, says so, and still knows the old ones', async t => {
  const keys = new KeyTable(2)
  keys.add(1, 1, 1, 1)
  keys.add(2, 2, 2, 2)
  t.notOk(keys.overflowed, 'exactly full')
  t.equal(keys.add(3, 3, 3, 3), 'new')
  t.ok(keys.overflowed)
  t.equal(keys.add(3, 3, 3, 3), 'new', 'it was not kept')
  t.equal(keys.add(1, 1, 1, 1), 'same')
  t.equal(keys.add(2, 2, 2, 9), 'other')
})
