import { EMULATOR_CASES } from './emulators/cases.ts'
import { decompressing } from './emulators/decompress.ts'
import { expectedFailure } from './emulators/expected.ts'
import { EMULATORS, type Emulator, install, start } from './emulators/install.ts'

/**
 * Lets servers that others wrote answer for BigQuery: what is loaded, streamed, asked and replaced must be the same there. Where an emulator is
 * wrong, `emulators/expected.ts` says so and why; any other failure, and a pass where a failure was expected, is an error.
 * Installs some hundred MB of Python packages the first time. Without a name it asks those that are quick. Run it with:
 * node test/prove/emulators.ts [name]
 */

/** Longest a case may take. */
const CASE_MS = 90_000

/** Why a case failed, or nothing. */
async function failureOf(run: () => Promise<void>): Promise<string | undefined> {
  const over = Promise.withResolvers<never>()
  const timer = setTimeout(() => over.reject(new Error(`not done within ${CASE_MS / 1_000} s`)), CASE_MS)
  try {
    await Promise.race([run(), over.promise])
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  } finally {
    clearTimeout(timer)
  }
}

/** Runs every case; returns how many went as expected, and how many did not. */
async function judge(
  emulator: Emulator,
): Promise<{ readonly passed: number; readonly expected: number; readonly surprises: number }> {
  const direct = await start(emulator)
  const plain = await decompressing(direct.url)
  const found = { passed: 0, expected: 0, surprises: 0 }
  try {
    for (const { title, run } of EMULATOR_CASES) {
      const failure = await failureOf(() => run({ url: plain.url, direct: direct.url }))
      const known = expectedFailure(emulator.name, title)
      const surprise = known === undefined ? failure !== undefined : !known.says.test(failure ?? '')
      const word = surprise ? 'SURPRISE' : failure === undefined ? 'passed' : 'failed as expected'
      console.log(`  ${word.padEnd(18)}  ${title}`)
      if (surprise) console.log(`    ${failure === undefined ? `passed, expected: ${known?.why}` : failure.slice(0, 1_000)}`)
      else if (known !== undefined) console.log(`    ${known.why}`)
      if (surprise) found.surprises++
      else if (failure === undefined) found.passed++
      else found.expected++
    }
  } finally {
    plain.close()
    direct.close()
  }
  return found
}

let surprises = 0
const wanted = process.argv.slice(2)
for (const emulator of EMULATORS.filter(({ name, quick }) => (wanted.length === 0 ? quick : wanted.includes(name)))) {
  const name = `${emulator.name} ${emulator.version}`
  const missing = install(emulator)
  if (missing !== undefined) {
    console.log(`${name}: skipped, ${missing}`)
    continue
  }
  const begun = performance.now()
  console.log(name)
  const found = await judge(emulator)
  surprises += found.surprises
  const seconds = Math.round((performance.now() - begun) / 1_000)
  console.log(`${name}: ${found.passed} passed, ${found.expected} failed as expected, ${found.surprises} surprises, ${seconds} s`)
}
process.exit(surprises === 0 ? 0 : 1)
