import { readdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { ad, ads, calling, child, prepared, stage, TOTALS } from './kit.ts'

/** Rows of each client in the first version; version n has n more. */
const ROWS = 3_000

t.test('a process killed at any moment of a commit leaves the table as before or as after it', async t => {
  const { warehouse, path } = await prepared(t, ads)
  let last = 0
  for (let round = 0; round < 8; round++) {
    const writer = child(t, 'child.ts', 'publish', path, String(ROWS), String(last))
    const first = Number((await writer.lines.next()).value)
    // Anywhere in the next commit or two; what is asserted does not depend on where.
    await sleep(Math.random() * 120)
    writer.process.kill('SIGKILL')
    t.equal(await writer.ended, 'SIGKILL')
    let said = first
    for (;;) {
      const { done, value } = await writer.lines.next()
      if (done) break
      said = Number(value)
    }
    const [a, b] = await warehouse.recount(ads, TOTALS, ['a', 'b'], calling())
    const version = (a?.rows ?? 0) - ROWS
    t.same({ ...b, client: 'a' }, a, 'both clients of the group are of one version')
    t.ok(version === said || version === said + 1, `version ${version} is the one that was reported, or the next one (${said})`)
    t.equal(a?.totals.clicks, String(version * (ROWS + version)), 'and it is all of it')
    last = version
  }
  const member = await stage(warehouse, ads, {
    client: 'a',
    from: '2026-01-01',
    rows: [ad('a', '2026-01-01', 'x')],
    generation: Date.now(),
  })
  t.match(await warehouse.commit(ads, TOTALS, [member], calling()), [{ outcome: 'published', deleted: ROWS + last, inserted: 1 }])
  t.not(await warehouse.sweep(async () => new Set([member.attemptId])), 0, 'the killed attempts left files')
  t.same(readdirSync(`${path}.staging`), [`${member.attemptId}.csv`])
})
