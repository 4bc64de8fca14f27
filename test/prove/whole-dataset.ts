import { type ChildProcess, fork, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { compare } from '../../examples/demo/compare.ts'
import { openMemory } from '../../examples/demo/data.ts'

/**
 * The whole dataset of the demo, 3,000,000 flights of 229 airports, by the command line: published completely, the same command again writes nothing,
 * and a run that is killed (SIGKILL) in the middle and started again ends with the identical table. Exits 1 at the first thing that is not so.
 */

const WINDOW = { from: '2001-01-01', to: '2001-07-01' }
const ROWS = 3_000_000

const path = (file: string): string => fileURLToPath(new URL(`../../${file}`, import.meta.url))

function must(holds: boolean, what: string): void {
  console.log(`${holds ? 'ok  ' : 'FAIL'}  ${what}`)
  if (!holds) process.exit(1)
}

const api = fork(path('examples/demo/server.ts'), ['--seed', '7'])
process.once('exit', () => api.kill())
const { port } = await new Promise<{ port: number }>(resolve =>
  api.once('message', message => resolve(message as { port: number })),
)

/** A backfill of everything into a folder; resolves to its account, or to nothing when it was killed. */
function start(folder: string): { readonly child: ChildProcess; readonly account: Promise<Account | undefined> } {
  const child = spawn(
    process.execPath,
    [path('bin/headrace.ts'), 'backfill', '--pipeline', 'flights', '--from', WINDOW.from, '--to', WINDOW.to, '--json'],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: {
        ...process.env,
        DEMO_API: `http://127.0.0.1:${port}`,
        DEMO_FOLDER: folder,
        HEADRACE_CONFIG: path('examples/demo/headrace.config.ts'),
      },
    },
  )
  const account = child.stdout.toArray().then(parts => {
    const text = Buffer.concat(parts).toString()
    return text === '' ? undefined : (JSON.parse(text) as Account)
  })
  return { child, account }
}

interface Account {
  readonly exitCode: number
  readonly resumed: boolean
  readonly seconds: number
  readonly clients: number
  readonly states: Readonly<
    Partial<Record<string, { readonly chunks: number; readonly extracted: number; readonly inserted: number }>>
  >
}

/** What the table holds, whatever the order, and which attempts wrote it. */
async function contents(folder: string): Promise<{ readonly rows: string; readonly hash: string; readonly attempts: string }> {
  const database = await openMemory()
  await database.run(`ATTACH '${join(folder, 'warehouse.duckdb')}' AS w (READ_ONLY)`)
  const result = await database.runAndReadAll(
    'SELECT (SELECT count(*) FROM w.air.flights)::VARCHAR AS rows, (SELECT sum(hash(t)) FROM w.air.flights t)::VARCHAR AS hash, ' +
      '(SELECT sum(hash(s.attempt_id, s.day, s.client_id)) FROM w.headrace.slices s)::VARCHAR AS attempts',
  )
  await database.run('DETACH w')
  database.closeSync()
  const [row] = result.getRowObjectsJson()
  return { rows: String(row?.rows), hash: String(row?.hash), attempts: String(row?.attempts) }
}

/** Chunks of the newest run, all of them and those that are published. */
function progress(folder: string): { readonly chunks: number; readonly published: number } {
  try {
    const ledger = new DatabaseSync(join(folder, 'ledger.sqlite'), { readOnly: true })
    try {
      const row = ledger.prepare("SELECT count(*) AS chunks, total(state = 'published') AS published FROM chunk").get()
      return { chunks: Number(row?.chunks), published: Number(row?.published) }
    } finally {
      ledger.close()
    }
  } catch {
    // Not there yet.
    return { chunks: 0, published: 0 }
  }
}

async function exact(folder: string, clients: readonly string[]): Promise<void> {
  const differences = await compare({ warehouse: join(folder, 'warehouse.duckdb'), clients, ...WINDOW, revisedDays: [] })
  const [flights] = differences
  must(
    differences.length === 1 && flights?.rows === ROWS && flights.missing === 0 && flights.extra === 0,
    `every row is the source's, and none is missing (${flights?.rows} rows, ${flights?.missing} missing, ${flights?.extra} extra)`,
  )
}

const response = await fetch(`http://127.0.0.1:${port}/v1/accounts`, { headers: { authorization: 'Bearer demo-key' } })
const { accounts } = (await response.json()) as { accounts: { id: string }[] }
const clients = accounts.map(({ id }) => id)
const folders = [1, 2].map(() => mkdtempSync(join(tmpdir(), 'headrace-whole-')))
process.once('exit', () => folders.forEach(folder => void rmSync(folder, { recursive: true, force: true })))
const [calm = '', killed = ''] = folders

const first = await start(calm).account
must(
  first?.exitCode === 0 && first.clients === 229,
  `a backfill of all 229 airports ends well, in ${first?.seconds.toFixed(0)} s`,
)
must(first?.states.published?.inserted === ROWS, `3,000,000 rows are published in ${first?.states.published?.chunks} chunks`)
await exact(calm, clients)
const before = await contents(calm)

const again = await start(calm).account
must(
  again?.exitCode === 0 && again.states.published === undefined && again.states.unchanged?.extracted === ROWS,
  'the same command again reads everything and publishes nothing',
)
must(JSON.stringify(await contents(calm)) === JSON.stringify(before), 'the table is identical, and nobody has written to it')

const { child, account } = start(killed)
for (let seen = progress(killed); seen.chunks === 0 || seen.published < seen.chunks / 2; seen = progress(killed)) {
  if (child.exitCode !== null) must(false, 'the backfill takes long enough to be killed half way')
  await delay(20)
}
child.kill('SIGKILL')
must((await account) === undefined, 'a backfill is killed (SIGKILL) half way')
const { published, chunks } = progress(killed)
must(published < chunks, `${published} of ${chunks} chunks were published`)
const rest = await start(killed).account
must(rest?.exitCode === 0 && rest.resumed, 'the same command takes it up and ends well')
await exact(killed, clients)
const after = await contents(killed)
must(after.rows === before.rows && after.hash === before.hash, 'the table is identical to the one that was never interrupted')
api.kill()
