import t from 'tap'
import type { Scripted } from '../servers/http.ts'
import { items, reading } from './setup.ts'
import { writtenConnector } from './written.ts'

t.test('the connector that the documentation writes reads what it says', async t => {
  const visits = await writtenConnector(t.testdir())
  const columns = ['id', 'seconds']
  const search: Scripted = ({ body }) => {
    const from = Number(JSON.parse(body).after ?? 0)
    const rows = items(from + 1, Math.min(5, from + 2)).map(({ id }) => [id, 10 * id])
    return { body: { columns, rows, more: from + 2 < 5, end: from + 2, total: 5 } }
  }
  const { server, read } = await reading(t, search, url => {
    process.env.VISITS_URL = url
    return visits
  })
  t.same(await read(), { pages: [[1, 2], [3, 4], [5]], error: undefined })
  t.same(
    server.received.map(({ path, body }) => [path, JSON.parse(body)]),
    [undefined, 2, 4].map(after => [
      '/sites/acme/search',
      { from: '2026-01-01', to: '2026-01-03', limit: 100, ...(after === undefined ? {} : { after }) },
    ]),
  )
})
