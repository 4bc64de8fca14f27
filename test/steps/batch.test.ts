import fc from 'fast-check'
import t from 'tap'
import type { Batch, EncodedPage, Reject, Segment } from '../../lib/row.ts'
import { BATCH_ROWS, batch } from '../../lib/steps/batch.ts'

const DAYS = ['2026-01-01', '2026-01-02', '2026-01-03']

/** A segment of the given rows. */
function segment(day: string, rows: readonly string[]): Segment {
  const bytes = Buffer.from(rows.join(''))
  let end = 0
  return { day, bytes, ends: Uint32Array.from(rows, row => (end += Buffer.byteLength(row))) }
}

/** A segment of as many numbered rows of one length. */
function numbered(day: string, first: number, count: number): Segment {
  return segment(
    day,
    Array.from({ length: count }, (_, index) => `${String(first + index).padStart(7, '0')}\n`),
  )
}

function page(segments: readonly Segment[], more: Partial<EncodedPage> = {}): EncodedPage {
  return { segments, rejects: [], deduplicated: 0, ...more }
}

function reject(value: string): Reject {
  return { column: null, rule: 'record', value, reason: 'is not an object', day: null, record: null }
}

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items
}

type Rows = Extract<Batch, { bytes: Buffer }>

function isRows(next: Batch): next is Rows {
  return 'bytes' in next
}

/** A batch that stays as it is when the next one is asked for. */
function copied(next: Batch): Batch {
  return isRows(next) ? { ...next, bytes: Buffer.from(next.bytes) } : next
}

async function batchesOf(pages: readonly EncodedPage[], size?: number): Promise<Batch[]> {
  return Array.fromAsync(batch(each(pages), size), copied)
}

t.test('rows of a day are put together until a batch is full, and the rest leaves at the end', async t => {
  const pages = [page([segment(DAYS[0] as string, ['a\n', 'b\n', 'c\n'])]), page([segment(DAYS[0] as string, ['d\n', 'e\n'])])]
  t.same(
    (await batchesOf(pages, 2)).filter(isRows).map(({ day, rows, bytes }) => [day, rows, String(bytes)]),
    [
      [DAYS[0], 2, 'a\nb\n'],
      [DAYS[0], 2, 'c\nd\n'],
      [DAYS[0], 1, 'e\n'],
    ],
  )
})

t.test('a batch holds five thousand rows unless told otherwise', async t => {
  const sizes = (await batchesOf([page([numbered('2026-01-01', 0, 2 * BATCH_ROWS + 1)])])).filter(isRows).map(({ rows }) => rows)
  t.same(sizes, [5_000, 5_000, 1])
})

t.test('a batch never exceeds its size or mixes days, and every row of every day leaves once, whole and in order', async () => {
  const rows = fc.array(
    fc.string({ unit: 'grapheme', maxLength: 5 }).map(text => `${text}\n`),
    { minLength: 1, maxLength: 12 },
  )
  const pages = fc.array(fc.array(fc.tuple(fc.constantFrom(...DAYS), rows), { maxLength: 4 }), { maxLength: 8 })
  await fc.assert(
    fc.asyncProperty(pages, fc.integer({ min: 1, max: 7 }), async (drawn, size) => {
      const found = new Map<string, string>()
      let right = true
      for (const next of (
        await batchesOf(
          drawn.map(groups => page(groups.map(([day, lines]) => segment(day, lines)))),
          size,
        )
      ).filter(isRows)) {
        right &&= next.rows >= 1 && next.rows <= size && String(next.bytes).split('\n').length - 1 === next.rows
        found.set(next.day, (found.get(next.day) ?? '') + String(next.bytes))
      }
      return (
        right &&
        DAYS.every(day => {
          const expected = drawn.flat().flatMap(([of, lines]) => (of === day ? lines : []))
          return (found.get(day) ?? '') === expected.join('')
        })
      )
    }),
    { numRuns: 200 },
  )
})

t.test('rejects and counts of repeated rows pass in the order they came, before the rows of their page', async t => {
  const one = reject('1')
  const two = reject('2')
  const pages = [
    page([segment('2026-01-01', ['a\n'])], { rejects: [one] }),
    page([]),
    page([segment('2026-01-01', ['b\n'])], { deduplicated: 3 }),
    page([], { rejects: [two], deduplicated: 1 }),
  ]
  const batches = await batchesOf(pages, 2)
  t.same(batches, [
    { rejects: [one], deduplicated: 0 },
    { rejects: [], deduplicated: 3 },
    { day: '2026-01-01', rows: 2, bytes: Buffer.from('a\nb\n') },
    { rejects: [two], deduplicated: 1 },
  ])
})

t.test('nothing comes of nothing', async t => {
  t.same(await batchesOf([]), [])
  t.same(await batchesOf([page([]), page([])]), [])
})

t.test('a full batch leaves before the next page is asked for', async t => {
  const asked: number[] = []
  async function* pages(): AsyncGenerator<EncodedPage> {
    for (let number = 0; number < 3; number++) {
      asked.push(number)
      yield page([numbered('2026-01-01', number * 2, 2)])
    }
  }
  const batches = batch(pages(), 2)
  await batches.next()
  t.same(asked, [0])
  await batches.next()
  t.same(asked, [0, 1])
  await batches.return(undefined)
})

t.test('however many days a window has, a bounded number of rows is held back, and the fullest day leaves first', async t => {
  let given = 0
  let largest = 0
  async function* pages(): AsyncGenerator<EncodedPage> {
    for (let number = 0; number < 100; number++) {
      // One day gets three rows of each page, a thousand others get one now and then.
      const days = Array.from({ length: 300 }, (_, index) => `day-${(number * 300 + index) % 1_000}`)
      given += 303
      yield page([numbered('day-full', number * 3, 3), ...days.map((day, index) => numbered(day, index, 1))])
    }
  }
  let left = 0
  const early: Rows[] = []
  for await (const next of batch(pages())) {
    if (!isRows(next)) continue
    left += next.rows
    largest = Math.max(largest, given - left)
    if (given < 100 * 303) early.push(next)
  }
  t.equal(left, 100 * 303)
  t.ok(largest <= 4 * BATCH_ROWS + 303, `${largest} rows held back`)
  t.equal(early[0]?.day, 'day-full')
})

t.test('a page may be written over the one before it', async t => {
  const scratch = Buffer.alloc(100)
  async function* pages(): AsyncGenerator<EncodedPage> {
    for (const text of ['a\n', 'b\n', 'c\n', 'd\n']) {
      const { day, bytes, ends } = segment('2026-01-01', [text])
      bytes.copy(scratch)
      yield page([{ day, bytes: scratch.subarray(0, bytes.length), ends }])
    }
  }
  const batches = await Array.fromAsync(batch(pages(), 3), copied)
  t.same(
    batches.filter(isRows).map(({ bytes }) => String(bytes)),
    ['a\nb\nc\n', 'd\n'],
  )
})

t.test('however many batches leave, there are only a few buffers', async t => {
  const buffers = new Set<ArrayBufferLike>()
  async function* pages(): AsyncGenerator<EncodedPage> {
    for (let number = 0; number < 200; number++)
      yield page([numbered('2026-01-01', number * 500, 500), numbered('2026-01-02', 0, 500)])
  }
  for await (const next of batch(pages())) if (isRows(next)) buffers.add(next.bytes.buffer)
  t.ok(buffers.size <= 4, `${buffers.size} buffers`)
})

t.test('an error of the source ends the batches with that error', async t => {
  async function* pages(): AsyncGenerator<EncodedPage> {
    yield page([numbered('2026-01-01', 0, 1)])
    throw new Error('the API is gone')
  }
  await t.rejects(Array.fromAsync(batch(pages())), { message: 'the API is gone' })
})
