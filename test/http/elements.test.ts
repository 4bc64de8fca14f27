import fc from 'fast-check'
import t from 'tap'
import { arrayElements, lineValues } from '../../lib/http/elements.ts'

const MEBIBYTE = 2 ** 20

/** The bytes in blocks of the given sizes, the last size for ever. */
async function* blocksOf(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[Math.min(turn, sizes.length - 1)] ?? bytes.length
    yield bytes.subarray(at, at + size)
    at += size
  }
}

function arriving(text: string | Buffer, sizes: readonly number[] = [], largest = 16 * MEBIBYTE) {
  return { blocks: blocksOf(Buffer.from(text), sizes), where: 'https://api.example.com/v1', largest }
}

/** All pages, or the error. */
async function read(pages: AsyncIterable<readonly unknown[]>): Promise<{ pages: (readonly unknown[])[]; error: unknown }> {
  const arrived: (readonly unknown[])[] = []
  try {
    for await (const page of pages) arrived.push(page)
    return { pages: arrived, error: undefined }
  } catch (error) {
    return { pages: arrived, error }
  }
}

const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 20 })
const values = fc.array(fc.jsonValue({ noUnicodeString: false }), { maxLength: 12 })

/** The paths of the array, and documents that hold it there. */
const DOCUMENTS: Readonly<Record<string, (json: string, spaces: string) => string>> = {
  '': (json, spaces) => `${spaces}${json}${spaces}`,
  rows: (json, spaces) => `{"a":[{"rows":[1]},"rows"],${spaces}"rows"${spaces}:${spaces}${json}${spaces},"z":{"rows":[2]}}`,
  'data.rows': (json, spaces) => `{"rows":[0],"data":{"x":"\\"rows\\":[","rows":${json}},"end":null}${spaces}`,
}

t.test('whatever the array and the blocks it comes in, its elements are those of JSON.parse', async t => {
  await fc.assert(
    fc.asyncProperty(values, sizes, fc.constantFrom('', ' ', '\n\t '), async (all, cut, spaces) => {
      const json = JSON.stringify(all, null, spaces)
      for (const [path, document] of Object.entries(DOCUMENTS)) {
        const { pages, error } = await read(arrayElements(arriving(document(json, spaces), cut), path))
        t.equal(error, undefined)
        t.strictSame(pages.flat(), JSON.parse(json), path)
      }
    }),
    { numRuns: 150 },
  )
})

t.test('wherever an array is cut off, it is never taken for a whole one', async t => {
  const json = JSON.stringify([{ a: 'x]}\\"', b: [1, { c: null }] }, 12, 'ü', [], true])
  for (const [path, document] of Object.entries(DOCUMENTS)) {
    const whole = Buffer.from(document(json, ''))
    for (let end = 0; end < whole.length; end++) {
      const { error } = await read(arrayElements(arriving(whole.subarray(0, end), [3]), path))
      t.match(error, { code: 'API_BODY_BROKEN', kind: 'transient' }, `${path} ${end}`)
    }
  }
})

t.test('what is not JSON is an error, wherever it is not', async t => {
  const wrong = [
    '<html>',
    '[1,]',
    '[,1]',
    '[1 2]',
    '[}',
    '[1}',
    '[1]]',
    '[1] x',
    '[1][2]',
    '[{]}',
    '["\n"]',
    '[01]',
    '"a"',
    'nul',
    ']',
    '[nan]',
  ]
  for (const text of wrong) {
    for (const size of [1, 100]) {
      const { error } = await read(arrayElements(arriving(text, [size]), ''))
      t.match(error, { code: 'API_BODY_BROKEN', message: /^https:\/\/api\.example\.com\/v1: / }, text)
    }
  }
  t.match((await read(arrayElements(arriving(Buffer.from([0x5b, 0x22, 0xff, 0x22, 0x5d])), ''))).error, {
    code: 'API_BODY_BROKEN',
    message: /not UTF-8/,
  })
  const secret = await read(arrayElements(arriving('[{"token":"s3cr3t",}]'), ''))
  t.notMatch(secret.error instanceof Error ? secret.error.message : 's3cr3t', /s3cr3t/)
})

t.test('a document without the array is an error that waits for a person', async t => {
  for (const [path, text] of [
    ['', '{"error":{"code":429}}'],
    ['rows', '{"error":[1]}'],
    ['rows', '{"rows":null,"x":{"rows":[1]}}'],
    ['data.rows', '{"data":{"row":[1]}}'],
  ] as const) {
    const { error } = await read(arrayElements(arriving(text), path))
    t.match(error, { code: 'PAGE_MALFORMED', kind: 'data', message: /no array at / }, text)
  }
})

t.test('pages are of a bounded size, whatever the size of the document', async t => {
  const record = { name: 'x'.repeat(1_000) }
  const large = Buffer.from(JSON.stringify(Array.from({ length: 8_000 }, () => record)))
  const small = Buffer.from(JSON.stringify(Array.from({ length: 12_345 }, (_, id) => id)))
  for (const [bytes, most] of [
    [large, 1_050],
    [small, 5_000],
  ] as const) {
    const { pages, error } = await read(arrayElements(arriving(bytes, [65_536]), ''))
    t.equal(error, undefined)
    t.strictSame(pages.flat(), JSON.parse(bytes.toString()))
    t.ok(Math.max(...pages.map(({ length }) => length)) <= most)
  }
  const lines = Buffer.from(`${JSON.stringify(record)}\n`.repeat(8_000))
  const { pages } = await read(lineValues(arriving(lines, [65_536])))
  t.equal(pages.flat().length, 8_000)
  t.ok(Math.max(...pages.map(({ length }) => length)) <= 1_200)
})

t.test('an element that is too large ends the reading before it is in memory', async t => {
  let sent = 0
  async function* endless(first: string): AsyncGenerator<Buffer> {
    yield Buffer.from(first)
    for (;;) {
      sent += 65_536
      yield Buffer.alloc(65_536, 'x')
    }
  }
  for (const pages of [
    arrayElements({ blocks: endless('["'), where: 'w', largest: 4 * MEBIBYTE }, ''),
    lineValues({ blocks: endless('"'), where: 'w', largest: 4 * MEBIBYTE }),
  ]) {
    sent = 0
    t.match((await read(pages)).error, { code: 'BODY_TOO_LARGE', message: /one element of the stream is larger than 4 MiB/ })
    t.ok(sent <= 5 * MEBIBYTE)
  }
})

t.test('whatever the lines and the blocks they come in, their values are those of JSON.parse', async t => {
  await fc.assert(
    fc.asyncProperty(values, sizes, fc.constantFrom('\n', '\r\n', '\n\n', '\n \n'), async (all, cut, separator) => {
      for (const end of ['', separator]) {
        const text = all.map(value => JSON.stringify(value)).join(separator) + end
        const { pages, error } = await read(lineValues(arriving(text, cut)))
        t.equal(error, undefined)
        t.strictSame(pages.flat(), JSON.parse(JSON.stringify(all)))
      }
    }),
    { numRuns: 150 },
  )
})

t.test('a line that is not JSON is named by its number', async t => {
  const { error } = await read(lineValues(arriving('{"a":1}\n\n{"a":2}\n{"a":"s3cr3t"\n{"a":4}', [2])))
  t.match(error, { code: 'API_BODY_BROKEN', message: 'https://api.example.com/v1: line 4 is not JSON' })
  const long = `${'{"a":1}\n'.repeat(300_000)}{"a":`
  t.match((await read(lineValues(arriving(long, [65_536])))).error, { message: /line 300001 is not JSON/ })
})

t.test('a reader that stops early stops the stream', async t => {
  let stopped = false
  async function* blocks(): AsyncGenerator<Buffer> {
    try {
      yield Buffer.from('[')
      for (;;) yield Buffer.from(`${'1,'.repeat(6_000)}`)
    } finally {
      stopped = true
    }
  }
  for await (const _ of arrayElements({ blocks: blocks(), where: 'w', largest: MEBIBYTE }, '')) break
  t.ok(stopped)
})
