import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type Answer, recordsOf } from './api.ts'
import { MAY, type Project, project } from './project.ts'

const CONNECTORS = new URL('../../connectors/index.ts', import.meta.url).href

const QUERY = 'planted-in-the-query-1f9c'
const HEADER = 'planted-in-a-header-7b21'
const OWN = 'planted-in-an-error-of-a-connector-55ae'

/** What an API that echoes what it was sent may answer. */
const ECHO = `cannot serve /records?api_key=${QUERY}&client=x with Authorization: Bearer ${HEADER}`

const ANSWERS: Readonly<Record<string, Answer>> = {
  refused: { status: 401, body: { error: ECHO } },
  failed: { status: 500, body: ECHO },
  throttled: { status: 429, headers: { 'retry-after': '9999' }, body: { error: ECHO } },
  broken: { body: ECHO },
  malformed: { body: { error: ECHO } },
}

/** Every byte headrace left in a folder, but for the configuration, which holds the secrets itself. */
async function everyFile(folder: string): Promise<Record<string, string>> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = names.filter(file => file.isFile() && file.name !== 'headrace.config.ts')
  return Object.fromEntries(
    await Promise.all(files.map(async file => [file.name, await readFile(join(file.parentPath, file.name), 'latin1')] as const)),
  )
}

/** Everything a person or a machine gets to see of a run, and everything that stays of it. */
async function outputsOf(t: Test, { folder, start, headrace, api }: Project): Promise<Record<string, string>> {
  const hold = Promise.withResolvers<undefined>()
  const { script } = api
  api.script = async asked => (await hold.promise) ?? script(asked)
  const running = start(['backfill', ...MAY, '--log-level', 'debug', '--metrics-port', '0'])
  const [, address = ''] = /metrics at (\S+)/.exec(await running.said(/metrics at \S+/)) ?? []
  const scrape = (): Promise<string> => fetch(address).then(response => response.text())
  const before = await scrape()
  hold.resolve(undefined)
  const ran = await running.ended
  const [json, status, rejects] = await Promise.all([
    headrace('backfill', ...MAY, '--json', '--log-level', 'debug'),
    headrace('status', '--json'),
    headrace('rejects'),
  ])
  t.match(ran.stderr, '"event":"run.finished"', 'there was a log')
  return {
    stdout: ran.stdout,
    stderr: ran.stderr,
    metrics: before,
    json: json.stdout + json.stderr,
    status: status.stdout,
    rejects: rejects.stdout,
    ...(await everyFile(folder)),
  }
}

t.test('secrets in queries, headers and echoed errors reach no output, no log, no metric and no file', async t => {
  const clients = [...Object.keys(ANSWERS), 'rejected']
  const it = await project(
    t,
    {
      clients: JSON.stringify(clients),
      source: `headers: { authorization: 'Bearer ${HEADER}' }, query: { client: '{client}', from: '{from}', to: '{to}', api_key: '${QUERY}' },`,
    },
    ({ client, from }) =>
      ANSWERS[client] ?? { body: { data: recordsOf(client, from).map(record => ({ ...record, clicks: -1 })) } },
  )
  const outputs = await outputsOf(t, it)
  t.match(outputs['ledger.sqlite'], 'API_REFUSED')
  t.match(outputs.stderr, 'answered 401')
  for (const [name, text] of Object.entries(outputs)) {
    for (const secret of [QUERY, HEADER]) t.notOk(text.includes(secret), `${name} holds no ${secret}`)
  }
})

t.test('secrets in bodies, Basic credentials, redirects, next addresses and streams reach nothing either', async t => {
  const [user, password] = ['planted-user-3d2e', 'planted-password-91aa']
  const body = 'planted-in-a-body-c3f0'
  const next = 'planted-in-a-next-address-0b7d'
  const basic = Buffer.from(`${user}:${password}`).toString('base64')
  const echo = `cannot serve ${basic} (${user}, ${password}) ${JSON.stringify({ secret: body })} of https://${user}:${password}@x.example/?token=${next}`
  const answers: Readonly<Record<string, Answer>> = {
    refused: { status: 403, body: { error: echo } },
    failed: { status: 502, body: echo },
    moved: { status: 302, headers: { location: `https://${user}:${password}@login.example/in?token=${next}` }, body: echo },
    away: { body: { data: [], next: `https://elsewhere.example/records?token=${next}` } },
    odd: { body: { data: [], next: { href: `https://elsewhere.example/records?token=${next}` } } },
    repeated: { body: { data: [], next: `?token=${next}&client=repeated&from=2025-05-01&to=2025-05-01` } },
    issued: { body: `{"access_token":"${next}","data":[` },
    stream: { status: 403, body: echo },
  }
  const it = await project(t, {}, ({ client }) => answers[client])
  const asked = `headers: { authorization: 'Basic ${basic}' }, body: { client_secret: '${body}' }`
  await it.configure({
    clients: JSON.stringify(Object.keys(answers)),
    source: `${asked}, pages: (await import('${CONNECTORS}')).nextUrl({ next: 'next' }),`,
    pipeline: `source: { ...source, async *pages(request) {
      const asked = { method: 'POST', ${asked} }
      if (request.client === 'stream') for await (const _ of request.http.stream('${it.api.url}/?client=stream', asked));
      yield* source.pages(request)
    } },`,
  })
  const outputs = await outputsOf(t, it)
  t.match(outputs.stderr, 'sends to https://login.example/in')
  t.match(outputs.stderr, 'leads away from')
  t.match(outputs['ledger.sqlite'], 'API_REFUSED')
  for (const [name, text] of Object.entries(outputs)) {
    for (const secret of [user, password, body, next, basic]) t.notOk(text.includes(secret), `${name} holds no ${secret}`)
  }
})

t.test("an address in an error of somebody else's code loses its query everywhere", async t => {
  const it = await project(t, {
    clients: "['acme']",
    pipeline: `source: defineConnector({
      name: 'own',
      async *pages() { throw new Error('GET https://api.example/v1?token=${OWN} failed') },
    }),`,
  })
  const outputs = await outputsOf(t, it)
  t.match(outputs.stdout, 'INTERNAL: Error: GET https://api.example/v1?… failed')
  for (const [name, text] of Object.entries(outputs)) t.notOk(text.includes(OWN), `${name} holds no ${OWN}`)
})
