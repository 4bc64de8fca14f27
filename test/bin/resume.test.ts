import { existsSync } from 'node:fs'
import t from 'tap'
import { never } from './api.ts'
import { type Ran, spawned } from './cli.ts'
import { MAY, project } from './project.ts'

t.test('a backfill that was killed is taken up where it was', async t => {
  for (const request of [2, 5]) {
    const { api, start, backfill, headrace, query } = await project(t, { settings: 'concurrency: 1,' })
    const killed = start(['backfill', ...MAY])
    api.script = () => {
      if (api.asked.length !== request) return undefined
      killed.process.kill('SIGKILL')
      return never
    }
    t.equal((await killed.ended).signal, 'SIGKILL')
    const before = api.asked.length
    api.script = () => undefined
    const plan = await headrace('plan', ...MAY)
    t.match(plan.stdout, /[1-6] chunks due\n {2}what is left of the run of /)
    t.match((await headrace('plan', ...MAY, '--clients', 'acme')).stdout, '3 chunks due\n  ', 'another request is another run')
    t.equal(api.asked.length, before)
    const ran = await backfill('--json')
    t.equal(ran.code, 0, `killed at request ${request}`)
    t.match(ran.json(), { resumed: true, states: { published: { chunks: 6, inserted: 12 } } })
    t.ok(api.asked.length - before <= 6, 'what was published is not read again')
    t.same(await query('SELECT count(*)::INTEGER AS rows FROM shop.ads'), [{ rows: 12 }])
    t.equal((await headrace('verify')).code, 0)
  }
})

t.test('two backfills at once share the work, and both end well', async t => {
  const both = Promise.withResolvers<void>()
  const { api, start, query } = await project(t, { settings: 'concurrency: 1,' }, async () => {
    // Nobody goes on before both have a chunk.
    if (api.asked.length >= 2) both.resolve()
    await both.promise
    return undefined
  })
  const first = start(['backfill', ...MAY, '--json'])
  const second = start(['backfill', ...MAY, '--json'])
  const ran: Ran[] = await Promise.all([first.ended, second.ended])
  t.same(
    ran.map(({ code }) => code),
    [0, 0],
  )
  t.same(ran.map(one => (one.json() as { resumed: boolean }).resumed).sort(), [false, true])
  t.equal(api.asked.length, 6, 'no chunk is read twice')
  t.same(await query('SELECT count(*)::INTEGER AS rows FROM shop.ads'), [{ rows: 12 }])
})

t.test('something that never happens in a connector ends the run with a sentence, and the rest goes on from there', async t => {
  const { backfill, configure } = await project(t, {
    pipeline: "source: defineConnector({ name: 'stuck', async *pages() { yield await new Promise(() => {}) } }),",
  })
  const ran = await backfill('--json')
  t.equal(ran.code, 1)
  t.match(ran.json(), { error: { code: 'INTERNAL' } })
  t.match(ran.stderr, 'something is awaited that never happens')
  await configure({})
  t.equal((await backfill()).code, 0)
})

t.test('a reader that leaves early stops neither the work nor the exit code', async t => {
  const { folder, config, query } = await project(t, {}, ({ from }) =>
    from === '2025-05-02' ? { status: 500, body: 'oops' } : undefined,
  )
  const ran = await spawned(
    `"$NODE" "$BIN" backfill --config "${config}" ${MAY.join(' ')} 2>&1 | head -1; echo "\${PIPESTATUS[0]}"`,
    folder,
  )
  t.equal(ran.stderr, '')
  t.match(ran.stdout, /^6 chunks to read\n1\n$/)
  t.same(await query('SELECT count(*)::INTEGER AS rows FROM shop.ads'), [{ rows: 8 }])
})

const NO_FULL = existsSync('/dev/full') ? false : 'this system has no /dev/full'

t.test('a result that cannot be written is an error', { skip: NO_FULL }, async t => {
  const { folder, config } = await project(t)
  const ran = await spawned(`"$NODE" "$BIN" status --config "${config}" > /dev/full`, folder)
  t.equal(ran.code, 1)
  t.match(ran.stderr, /^the result could not be written: ENOSPC/)
})
