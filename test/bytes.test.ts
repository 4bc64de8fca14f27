import fc from 'fast-check'
import t from 'tap'
import { Bytes, LONGEST_UNIT, writeText } from '../lib/bytes.ts'

/** Texts are written in another way when they are long, and from the first character on that is not ASCII. */
const texts = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 3_000 }),
  fc.string({ unit: fc.constantFrom('a', '"', 'é', '😀', ','), maxLength: 100 }),
  fc.string({ unit: fc.constantFrom('a', '"'), maxLength: 100 }),
)

t.test('a character that is to stand twice does so wherever it occurs, within the room that is asked for', async () => {
  fc.assert(
    fc.property(texts, fc.nat({ max: 9 }), (text, start) => {
      const buffer = Buffer.alloc(start + LONGEST_UNIT * text.length)
      const end = writeText(buffer, start, text, '"'.charCodeAt(0))
      return buffer.toString('utf8', start, end) === Buffer.from(text.replaceAll('"', '""')).toString()
    }),
  )
})

t.test('whatever is added and released in whatever order, the bytes are those that were added', async () => {
  const step = fc.record({
    which: fc.nat({ max: 4 }),
    text: texts,
    release: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const kept = Array.from({ length: 5 }, () => ({ bytes: new Bytes(), model: '' }))
      for (const [index, { which, text, release }] of steps.entries()) {
        const one = kept[which]
        if (one === undefined) return false
        if (release) {
          one.bytes.release()
          one.model = ''
        } else if (index % 2 === 0) {
          one.model += text
          one.bytes.write(text)
        } else {
          one.model += text
          one.bytes.append(Buffer.from(text))
        }
        if (kept.some(({ bytes, model }) => bytes.slice().toString() !== Buffer.from(model).toString())) return false
      }
      return true
    }),
  )
})

t.test('what is released is used again, and a burst is not kept', async t => {
  const first = new Bytes()
  first.append(Buffer.alloc(100_000))
  const { buffer } = first.slice()
  first.release()
  t.equal(first.length, 0)
  const second = new Bytes()
  second.append(Buffer.alloc(120_000))
  t.equal(second.slice().buffer, buffer)
  const large = new Bytes()
  large.append(Buffer.alloc(20 * 2 ** 20))
  const { buffer: burst } = large.slice()
  large.release()
  large.append(Buffer.alloc(20 * 2 ** 20))
  t.not(large.slice().buffer, burst)
})
