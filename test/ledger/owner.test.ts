import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { createInterface } from 'node:readline'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { mayBeAlive, ownerOf } from '../../lib/ledger/owner.ts'

const linux = process.platform === 'linux'
const skip = !linux && 'only Linux says when a process started'

t.test('this process is alive, and one that is not there is not', async t => {
  t.ok(mayBeAlive(ownerOf()))
  t.ok(mayBeAlive(ownerOf(1)), 'a process of somebody else')
  t.notOk(mayBeAlive(`${hostname()} 999999999 1`))
  t.notOk(mayBeAlive(ownerOf(999_999_999)))
})

t.test('nobody can say from here whether a process of another host is alive, or a name that says nothing', async t => {
  for (const owner of ['another-host 999999999 1', 'by hand', '', `${hostname()} many 1`]) t.ok(mayBeAlive(owner), owner)
})

t.test('nobody can say of a host or container that has the same name', { skip }, async t => {
  const here = ownerOf(999_999_999)
  t.notOk(mayBeAlive(here))
  t.ok(mayBeAlive(here.replace(/ [^ /]+\//, ' another-boot/')), 'another boot')
  t.ok(mayBeAlive(here.replace(/\[\d+\]$/, '[1]')), 'another namespace')
})

t.test('a process is told apart from the one that had its number before', { skip }, async t => {
  const [host, pid] = ownerOf().split(' ')
  t.notOk(mayBeAlive(`${host} ${pid} 1`))
  t.ok(mayBeAlive(`${host} ${pid} ?`), 'where the start is not known')
})

t.test('a process that ended is dead although nobody has waited for it', { skip }, async t => {
  // The shell starts a process and becomes one that never asks how it ended.
  const script = 'cat <&3 >/dev/null & echo $!; exec 3<&-; exec sleep 60'
  const parent = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit', 'pipe'] })
  t.teardown(() => parent.kill('SIGKILL'))
  const [, output, , input] = parent.stdio
  if (output === null || output === undefined || input === null || input === undefined) return t.fail('no pipes')
  const { value } = await createInterface({ input: output as NodeJS.ReadableStream })
    [Symbol.asyncIterator]()
    .next()
  const owner = ownerOf(Number(value))
  t.ok(mayBeAlive(owner))
  ;(input as NodeJS.WritableStream).end()
  while (!/\) Z/.test(readFileSync(`/proc/${value}/stat`, 'latin1'))) await turn()
  t.notOk(mayBeAlive(owner))
})
