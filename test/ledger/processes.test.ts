import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { begin, child, folder, fresh, LEASE } from './kit.ts'

const MARCH = { window: { from: '2026-03-01', to: '2026-03-31' }, clients: ['a', 'b', 'c', 'd'] }

/** The chunks that a process says it has published, up to its end. */
async function done({ lines, ended }: ReturnType<typeof child>): Promise<string[]> {
  const chunks: string[] = []
  for (let line = await lines.next(); line.done !== true && line.value !== 'done'; line = await lines.next()) {
    chunks.push(String(line.value))
  }
  await ended
  return chunks
}

t.test('of several processes on one run each chunk is published by one', async t => {
  const { ledger, path } = fresh(t, { clock: { now: Date.now() } })
  const run = await begin(ledger, MARCH)
  const works = await Promise.all([0, 1, 2].map(() => done(child(t, 'work', path, run.id))))
  const chunks = works.flat()
  t.equal(chunks.length, 124)
  t.equal(new Set(chunks).size, 124)
  t.match(await ledger.progress(run.id), { published: 124, pending: 0, running: 0 })
})

t.test('the chunk of a process that is killed is published by another, without waiting for its lease', async t => {
  const { ledger, path } = fresh(t, { clock: { now: Date.now() } })
  const run = await begin(ledger, { ...MARCH, clients: ['a'] })
  const taker = child(t, 'take', path, run.id)
  const { chunk } = JSON.parse((await taker.lines.next()).value)
  taker.process.kill('SIGKILL')
  await taker.ended
  const chunks = await done(child(t, 'work', path, run.id))
  t.equal(chunks.length, 31)
  t.ok(chunks.includes(`a ${chunk.window.from}`))
})

t.test('processes that start at once on a file that is not there make one ledger', async t => {
  const processes = await Promise.all(
    [0, 1, 2, 3].map(async () => {
      const opener = child(t, 'open', '')
      await opener.lines.next()
      return opener
    }),
  )
  // Again and again: they have to meet within a moment.
  for (let round = 0; round < 20; round++) {
    const path = join(folder(t), 'deep', 'ledger.sqlite')
    for (const { process } of processes) process.stdin?.write(`${path}\n`)
    const answers = await Promise.all(processes.map(async ({ lines }) => String((await lines.next()).value)))
    t.same(answers.toSorted(), ['begun', 'resumed', 'resumed', 'resumed'])
  }
})

/** What somebody hears who may not write to the file. */
async function stranger(t: Test, path: string): Promise<string> {
  return String((await child(t, 'as-nobody', path).lines.next()).value)
}

t.test(
  'a ledger that somebody may not use is refused by name',
  { skip: process.getuid?.() !== 0 && 'only root can become somebody else' },
  async t => {
    const { ledger, path } = fresh(t)
    await ledger.claim('none', LEASE)
    chmodSync(path, 0o600)
    t.match(await stranger(t, path), /^LEDGER_UNUSABLE .*ledger\.sqlite cannot be opened/)
  },
)
