import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { rm, statfs, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import t, { type Test } from 'tap'
import { recordsOf } from '../bin/api.ts'
import { project } from '../bin/project.ts'

/** Mounts a small file system of its own, gone with the test. */
function mount(t: Test, options: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'headrace-disk-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder])
  t.teardown(() => {
    execFileSync('umount', ['--lazy', folder])
    rmdirSync(folder)
  })
  return folder
}

/** Mounting takes rights that few have. */
const NO_MOUNT = ((): string | false => {
  const folder = mkdtempSync(join(tmpdir(), 'headrace-disk-'))
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder], { stdio: 'ignore' }).status === 0
  if (mounted) execFileSync('umount', ['--lazy', folder])
  rmdirSync(folder)
  return mounted ? false : 'this user may not mount a small disk'
})()

t.test(
  'a full disk under the warehouse fails the chunks that do not fit, and the others are published',
  { skip: NO_MOUNT },
  async t => {
    const disk = mount(t, 'size=2m')
    const { backfill, api } = await project(t, { warehouse: `'${disk}/warehouse.duckdb'` }, ({ client, from }) => {
      const [record] = recordsOf(client, from)
      return client === 'globex'
        ? { body: { data: Array.from({ length: 50_000 }, (_, n) => ({ ...record, campaign: `campaign ${n}` })) } }
        : undefined
    })
    const ran = await backfill()
    t.equal(ran.code, 1)
    // Those that fit are published, unless the disk was full of the others just when they were to be.
    t.match(ran.stdout, /published +[123] +[246] +[246] /)
    t.match(ran.stdout, /failed: globex, 2025-05-01\n {2}DISK_FULL: no space left to .+\n {2}.*Free space and run again\./)
    api.script = () => undefined
    const again = await backfill()
    t.equal(again.code, 0)
    t.match(again.stdout, /published +6 +12 +12 /)
  },
)

t.test('a full disk under the ledger stops the run, and the same command goes on from there', { skip: NO_MOUNT }, async t => {
  const disk = mount(t, 'size=2m')
  const { headrace, backfill } = await project(t, { ledger: `'${disk}/ledger.sqlite'` })
  t.equal((await headrace('status')).code, 0)
  const { bavail, bsize } = await statfs(disk)
  // Enough to open it, and not for what the run has to say.
  await writeFile(join(disk, 'ballast'), Buffer.alloc(bavail * bsize - 100_000))
  const ran = await backfill()
  t.equal(ran.code, 1)
  t.match(ran.stderr, /DISK_FULL: the ledger .*ledger\.sqlite cannot be used: .*full\n {2}What is published stays published;/)
  await rm(join(disk, 'ballast'))
  t.equal((await backfill()).code, 0)
  t.equal((await headrace('verify')).code, 0)
})

t.test('a disk that is read-only is named before anything is read', { skip: NO_MOUNT }, async t => {
  const disk = mount(t, 'ro')
  const [warehouse, ledger] = await Promise.all([
    project(t, { warehouse: `'${disk}/warehouse.duckdb'` }),
    project(t, { ledger: `'${disk}/ledger.sqlite'` }),
  ])
  const [first, second] = await Promise.all([warehouse.backfill(), ledger.backfill()])
  t.same([first.code, second.code], [2, 2])
  t.match(first.stderr, /WAREHOUSE_UNUSABLE: .*\/warehouse\.duckdb cannot be opened: /)
  t.match(second.stderr, /LEDGER_UNUSABLE: .*\/ledger\.sqlite cannot be opened: /)
  t.equal(warehouse.api.asked.length + ledger.api.asked.length, 0)
})

t.test('a path that cannot be, or a file that is something else, is named before anything is read', async t => {
  const it = await project(t)
  await writeFile(join(it.folder, 'notes.txt'), 'these are somebody else’s notes, long enough to be a header of anything')
  const cases = [
    [
      { warehouse: "new URL('notes.txt/warehouse.duckdb', import.meta.url).pathname" },
      /WAREHOUSE_UNUSABLE: .*notes\.txt\/warehouse\.duckdb .*ENOTDIR/,
    ],
    [{ warehouse: "new URL('notes.txt', import.meta.url).pathname" }, /WAREHOUSE_UNUSABLE: .*notes\.txt .*not a DuckDB database/],
    [
      { ledger: "new URL('notes.txt/ledger.sqlite', import.meta.url).pathname" },
      /LEDGER_UNUSABLE: .*notes\.txt\/ledger\.sqlite /,
    ],
    [{ ledger: "new URL('notes.txt', import.meta.url).pathname" }, /LEDGER_UNUSABLE: .*notes\.txt .*not a database/],
  ] as const
  for (const [parts, says] of cases) {
    await it.configure(parts)
    const ran = await it.backfill()
    t.equal(ran.code, 2)
    t.match(ran.stderr, says)
  }
  t.equal(it.api.asked.length, 0)
})

t.test('a warehouse that another program does not let go of is an error that may pass', async t => {
  const it = await project(t)
  await it.configure({ warehouse: "new URL('warehouse.duckdb', import.meta.url).pathname, patience: 0" })
  const instance = await DuckDBInstance.create(join(it.folder, 'warehouse.duckdb'))
  const ran = await it.backfill()
  t.equal(ran.code, 1)
  t.match(ran.stderr, /WAREHOUSE_BUSY: .*warehouse\.duckdb was held by .*\(PID \d+\)/)
  t.equal(it.api.asked.length, 0)
  instance.closeSync()
  t.equal((await it.backfill()).code, 0)
})

t.test('a port in use is named before anything is read', async t => {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, resolve))
  t.teardown(() => void server.close())
  const { port } = server.address() as AddressInfo
  const { backfill, api } = await project(t)
  const ran = await backfill('--metrics-port', String(port), '--json')
  t.equal(ran.code, 2)
  t.match(ran.json(), { error: { code: 'PORT_IN_USE', message: `port ${port} is taken by another process` } })
  t.match(ran.stderr, 'Name another one with --port or --metrics-port. Nothing was read or written.')
  t.equal(api.asked.length, 0)
})

t.test('an API that is not there fails every chunk, and the same command reads them when it is', async t => {
  const { backfill, configure } = await project(t, { source: "url: 'http://127.0.0.1:1/records'," })
  const ran = await backfill('--clients', 'acme')
  t.equal(ran.code, 1)
  t.match(
    ran.stdout,
    /failed: acme, 2025-05-03\n {2}API_UNREACHABLE: http:\/\/127\.0\.0\.1:1\/records: .+\n {2}Nothing of this chunk was published\./,
  )
  await configure({})
  t.equal((await backfill('--clients', 'acme')).code, 0)
})
