import t from 'tap'
import { chunksOf, request } from '../ledger/kit.ts'
import { daemon } from './setup.ts'

t.test('chunks and runs are listed page by page, each once, and by what is asked', async t => {
  const { server, ledger } = await daemon(t)
  for (const pipeline of ['campaigns', 'other']) {
    for (const clients of [['acme', '<b>&', 'ü/x'], ['globex']]) {
      const asked = request({ pipeline, clients })
      await ledger.beginRun(asked, chunksOf(asked), { served: true })
    }
  }
  const get = async (path: string) => {
    const response = await fetch(server.url + path)
    return JSON.parse(await response.text())
  }
  const pages = async (list: 'chunks' | 'runs', query: string): Promise<Record<string, unknown>[]> => {
    const found: Record<string, unknown>[] = []
    for (let after: string | null = ''; after !== null; ) {
      const page = await get(`/v1/${list}?limit=5${query}${after === '' ? '' : `&after=${after}`}`)
      t.ok(page[list].length <= 5)
      found.push(...page[list])
      after = page.next
    }
    return found
  }
  const all = await pages('chunks', '')
  t.equal(all.length, 24)
  t.equal(new Set(all.map(({ run, client, from }) => `${run} ${client} ${from}`)).size, 24)
  t.equal((await pages('chunks', '&pipeline=other')).length, 12)
  t.equal((await pages('chunks', `&client=${encodeURIComponent('ü/x')}`)).length, 6)
  t.equal(
    (await pages('chunks', `&run=${all[0]?.run}&state=pending`)).length,
    all.filter(({ run }) => run === all[0]?.run).length,
  )
  t.same(await pages('chunks', '&state=held'), [])
  const runs = await pages('runs', '')
  t.equal(runs.length, 4)
  t.same((await pages('runs', '&pipeline=campaigns')).map(({ clients }) => clients).sort(), [1, 3])
  t.same(await pages('runs', '&finished=true'), [])
  t.equal((await pages('runs', '&finished=false')).length, 4)
})

t.test('a page that is none, and a filter that is none, are refused', async t => {
  const { server } = await daemon(t)
  const cursor = (key: unknown): string => Buffer.from(JSON.stringify(key)).toString('base64url')
  for (const path of [
    '/v1/chunks?after=x',
    `/v1/chunks?after=${cursor(['run', 'client', 'yesterday'])}`,
    `/v1/chunks?after=${cursor({ length: 3 })}`,
    `/v1/chunks?after=${cursor([1, 2, 3])}`,
    `/v1/runs?after=${cursor(['a', 'b'])}`,
    '/v1/chunks?state=done',
    '/v1/chunks?limit=0',
    '/v1/chunks?limit=1001',
    '/v1/runs?finished=perhaps',
    '/v1/runs?client=acme',
  ]) {
    const response = await fetch(server.url + path)
    t.equal(response.status, 400, path)
    t.match(await response.json(), { error: { code: 'USAGE' } })
  }
})
