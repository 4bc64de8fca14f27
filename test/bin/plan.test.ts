import t from 'tap'
import { MAY, project } from './project.ts'

t.test('a plan says what is to be expected of it, and what that rests on', async t => {
  const { headrace, backfill } = await project(t)
  const before = await headrace('plan', ...MAY)
  t.match(before.stdout, /expected +about +by\nrows +unknown +nothing of this pipeline was published yet\n/)
  t.match(before.stdout, /bytes billed +0 bytes +duckdb charges nothing\n/)
  t.equal((await backfill()).code, 0)
  const [after, json, nothing] = await Promise.all([
    headrace('plan', '--from', '2025-05-04', '--to', '2025-05-13'),
    headrace('plan', '--from', '2025-05-04', '--to', '2025-05-13', '--json'),
    headrace('plan', ...MAY, '--missing', '--json'),
  ])
  t.match(after.stdout, /rows +40 +the median of the newest published days of each client\n/)
  t.match(after.stdout, /requests +20 +the newest 6 chunks, day for day\n/)
  t.match(after.stdout, /time +\d.* s +the newest 6 chunks/)
  t.match(json.json(), {
    chunks: { length: 20 },
    estimate: { rows: { about: 40 }, requests: { about: 20 }, seconds: { about: Number }, bytesBilled: { about: 0 } },
  })
  t.match(nothing.json(), { chunks: [], estimate: null })
})
