import { randomBytes } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { agree } from '../servers/browser.ts'
import { type Server, serve } from '../servers/http.ts'
import { startTokenServer, type TokenServer } from '../servers/oidc.ts'
import { usual } from './api.ts'
import { type Ran, type Running, type Start, start } from './cli.ts'
import { MAY, type Project, project } from './project.ts'

const KEY = randomBytes(32).toString('base64')
const SECRET = 'planted-client-secret'
const lib = new URL('../../lib/index.ts', import.meta.url).href

/** A token server, what stands before it and remembers every token that went through, an API that wants them, and a project that reads it. */
interface Books extends Project {
  readonly tokens: TokenServer
  /** Everything that nobody may see. */
  readonly secrets: Set<string>
  /** What the API got for each request: client, page, and whether the token was good. */
  readonly asked: { readonly client: string; readonly page: number; readonly good: boolean }[]
  /** Runs a command with the key in its environment, and something on its standard input. */
  run(args: readonly string[], input?: string, env?: Start['env']): Promise<Ran>
  begin(args: readonly string[]): Running
}

/** Sees what goes through to a token server, and answers for it where the test says so. */
async function recorder(
  t: Test,
  tokens: TokenServer,
  secrets: Set<string>,
  refused: (token: string) => boolean,
): Promise<Server> {
  const server = await serve(({ headers, body }, response) => {
    const sent = new URLSearchParams(body)
    const refreshToken = sent.get('refresh_token')
    for (const name of ['refresh_token', 'code', 'code_verifier']) {
      const value = sent.get(name)
      if (value !== null) secrets.add(value)
    }
    if (refreshToken !== null && refused(refreshToken)) {
      return {
        status: 400,
        body: {
          error: 'invalid_grant',
          error_description: `${refreshToken} was revoked; you sent ${headers.authorization} and ${body}`,
        },
      }
    }
    const forward = { authorization: headers.authorization ?? '', 'content-type': headers['content-type'] ?? '' }
    void fetch(tokens.tokenUrl, { method: 'POST', headers: forward, body }).then(async answer => {
      const json = (await answer.json()) as Record<string, string>
      for (const name of ['access_token', 'refresh_token', 'id_token']) if (json[name] !== undefined) secrets.add(json[name])
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(json))
    })
    return undefined
  })
  t.teardown(() => server.close())
  return server
}

async function books(
  t: Test,
  options: { readonly expireAt?: number; readonly revoked?: readonly string[]; readonly clients?: string } = {},
): Promise<Books> {
  const tokens = await startTokenServer(t, { graceSeconds: 0 })
  const secrets = new Set([KEY, SECRET, Buffer.from(`headrace:${SECRET}`).toString('base64')])
  const front = await recorder(t, tokens, secrets, token => options.revoked?.includes(token) ?? false)
  const asked: Books['asked'] = []
  let expired = false
  const api = await serve(({ query, headers }, response) => {
    const token = headers.authorization?.replace('Bearer ', '') ?? ''
    const [client = '', from = '', to = '', page = '0'] = ['client', 'from', 'to', 'page'].map(
      name => query.get(name) ?? undefined,
    )
    const answer = async (): Promise<void> => {
      if (Number(page) === options.expireAt && !expired) {
        expired = true
        await tokens.expire(token)
      }
      const good = await tokens.valid(token)
      asked.push({ client, page: Number(page), good })
      const body = good ? usual({ client, from, to, page: Number(page), times: 1 }).body : { error: `no access with ${token}` }
      response.writeHead(good ? 200 : 401, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    }
    void answer()
    return undefined
  })
  t.teardown(() => api.close())
  const it = await project(t, {
    before: `import { refreshToken } from '${lib}'`,
    pipeline: 'chunk: { days: 3 },',
    ...(options.clients === undefined ? {} : { clients: options.clients }),
    source: `url: '${api.url}/records',
      auth: refreshToken({
        provider: 'books',
        tokenUrl: '${front.url}/token',
        authorizeUrl: '${tokens.url}/auth',
        authorizeParameters: { prompt: 'consent' },
        clientId: 'headrace',
        clientSecret: () => process.env.BOOKS_SECRET,
        scope: 'openid offline_access',
        rotation: 'strict',
        refreshTokenDays: 5,
      }),`,
  })
  const env = { HEADRACE_CONFIG: it.config, HEADRACE_GRANT_KEY: KEY, BOOKS_SECRET: SECRET }
  const begin = (args: readonly string[], more?: Start['env']): Running => {
    const running = start(args, { cwd: it.folder, env: { ...env, ...more } })
    t.teardown(() => void running.process.kill('SIGKILL'))
    return running
  }
  return {
    ...it,
    tokens,
    secrets,
    asked,
    begin,
    run: async (args, input = '', more) => {
      const running = begin(args, more)
      running.process.stdin.end(input)
      return running.ended
    },
  }
}

/** Every byte that headrace left in a folder, but for what the test put there. */
async function everyFile(folder: string): Promise<string> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = names.filter(file => file.isFile() && file.name !== 'headrace.config.ts')
  return (await Promise.all(files.map(file => readFile(join(file.parentPath, file.name), 'latin1')))).join('\n')
}

t.test('a grant comes in by import, is renewed in mid-chunk when it ends, and every row arrives', async t => {
  const it = await books(t, { expireAt: 1, clients: "['acme']" })
  const before = await it.run(['grants', 'list', '--json'])
  t.equal(before.code, 42)
  t.match(before.json(), { grants: [{ grant: 'books/acme', state: 'missing', configured: true }] })
  const held = await it.run(['backfill', ...MAY])
  t.equal(held.code, 42)
  t.match(held.stdout, /GRANT_MISSING: grant books\/acme/)
  t.equal(it.asked.length, 0)

  const imported = await it.run(['grants', 'import', 'books/acme'], `${await it.tokens.issue()}\n`)
  t.match(imported, { code: 0, stdout: /^books\/acme: usable, access until / })
  const ran = await it.run(['backfill', ...MAY, '--json'])
  t.equal(ran.code, 0, ran.stderr)
  t.match(ran.json(), { warnings: { GRANT_EXPIRING: 1 } }, 'it ends in 5 days')
  t.strictSame(
    it.asked.map(({ page, good }) => [page, good]),
    [
      [0, true],
      [1, false],
      [1, true],
      [2, true],
    ],
  )
  t.strictSame(await it.query('SELECT count(*)::INTEGER AS rows FROM shop.ads'), [{ rows: 6 }])
  const after = await it.run(['grants', 'list'])
  t.match(after, { code: 0, stdout: /books\/acme +usable .* 4\b/ })
})

t.test('no token, secret or key shows in any output, log, metric or file', async t => {
  const revoked: string[] = []
  const it = await books(t, { revoked, expireAt: 2, clients: "['acme', 'globex', 'initech']" })
  const planted = await Promise.all(['acme', 'globex'].map(() => it.tokens.issue()))
  for (const token of planted) it.secrets.add(token)
  const [acme = '', globex = ''] = planted
  revoked.push(globex)
  const file = join(it.folder, '..', `token-${process.pid}`)
  await writeFile(file, globex)
  const said: Ran[] = []
  said.push(await it.run(['grants', 'import', 'books/acme'], acme))
  said.push(await it.run(['grants', 'import', 'books/globex', '--file', file, '--json']))
  t.match(said[1], { code: 2, stdout: /GRANT_REFUSED/ })
  const running = it.begin(['backfill', ...MAY, '--log-level', 'debug', '--metrics-port', '0'])
  running.process.stdin.end()
  said.push(await running.ended)
  t.match(said[2], { code: 42, stdout: /GRANT_REFUSED.*invalid_grant \(… was revoked; you sent Basic … and/ })
  t.match(said[2]?.stdout, /GRANT_MISSING: grant books\/initech/)
  said.push(await it.run(['backfill', ...MAY, '--json', '--log-level', 'debug']))
  const words = ['grants list', 'grants list --json', 'status --json', 'rejects']
  said.push(
    ...(await Promise.all([
      ...words.map(line => it.run(line.split(' '))),
      it.run(['grants', 'import', 'books/acme'], 'two words'),
      it.run(['grants', 'list'], '', { HEADRACE_GRANT_KEY: `${KEY}x` }),
    ])),
  )
  const everything = said.map(({ stdout, stderr }) => stdout + stderr).join('\n') + (await everyFile(it.folder))
  t.match(everything, 'books/globex', 'the ledger was among the files')
  t.ok(it.secrets.size > 8, `${it.secrets.size} secrets`)
  for (const secret of it.secrets) t.notOk(everything.includes(secret), `${secret.slice(0, 4)}…`)
})

t.test('somebody consents in a browser, and the data comes', async t => {
  const it = await books(t, { clients: "['acme']" })
  const running = it.begin(['grants', 'consent', 'books/acme'])
  const address = (await running.said(/http:\/\/\S+\/auth\?\S+/)).trim()
  await agree(address)
  t.match(await running.ended, { code: 0, stdout: /books\/acme: usable/ })
  t.equal((await it.run(['backfill', ...MAY])).code, 0)
  t.match(await it.run(['grants', 'forget', 'books/acme']), { code: 0 })
  t.match(await it.run(['grants', 'forget', 'books/acme']), { code: 2, stderr: /the ledger holds none of that name/ })
})

t.test('what makes no sense is told before anything is sent', async t => {
  const it = await books(t, { clients: "['acme']" })
  const cases: readonly (readonly [args: readonly string[], input: string, stderr: RegExp, env?: Start['env']])[] = [
    [['grants', 'import', 'books/nobody'], 'x', /USAGE: grant books\/nobody: no client is read with it; there are books\/acme/],
    [['grants', 'import', 'books/acme'], ' \n', /USAGE: standard input holds nothing/],
    [['grants', 'import', 'books/acme', '--file', '/nowhere'], '', /USAGE: --file \/nowhere: ENOENT/],
    [['grants', 'consent', 'other/acme'], '', /USAGE: grant other\/acme/],
    [['grants', 'import', 'books/acme'], 'x', /GRANT_KEY_INVALID: .*HEADRACE_GRANT_KEY is not set/, { HEADRACE_GRANT_KEY: '' }],
    [['backfill', ...MAY], '', /GRANT_KEY_INVALID/, { HEADRACE_GRANT_KEY: 'x' }],
  ]
  const said = await Promise.all(cases.map(([args, input, , env]) => it.run(args, input, env)))
  for (const [index, [args, , stderr]] of cases.entries()) t.match(said[index], { code: 2, stderr }, args.join(' '))
  t.match(await it.tokens.counts(), { granted: 0, refused: 0 })
})

t.test('a key that was replaced still opens, and is not needed after all is encrypted anew', async t => {
  const it = await books(t, { clients: "['acme']" })
  const newer = randomBytes(32).toString('base64')
  await it.run(['grants', 'import', 'books/acme'], await it.tokens.issue())
  t.match(await it.run(['grants', 'list'], '', { HEADRACE_GRANT_KEY: `${newer},${KEY}` }), { code: 0, stdout: /older key/ })
  t.match(await it.run(['grants', 'list'], '', { HEADRACE_GRANT_KEY: newer }), { code: 42, stdout: /unreadable/ })
  t.match(await it.run(['backfill', ...MAY], '', { HEADRACE_GRANT_KEY: newer }), {
    code: 42,
    stdout: /GRANT_UNREADABLE: grant books\/acme/,
  })
  t.match(await it.run(['grants', 'rekey'], '', { HEADRACE_GRANT_KEY: `${newer},${KEY}` }), {
    code: 0,
    stdout: /^1 grant encrypted anew, 0 already/,
  })
  const [checked, read] = await Promise.all(
    [['check'], ['backfill', ...MAY]].map(args => it.run(args, '', { HEADRACE_GRANT_KEY: newer })),
  )
  t.match(checked, { code: 0, stdout: /grants: 1 usable; / })
  t.match(read, { code: 0 })
})
