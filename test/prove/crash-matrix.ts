import { type Blow, crash } from '../warehouse-bigquery/crash.ts'

/**
 * Every request of a small backfill, from the first to the last: the process is killed before it is worked on, killed after it, and lives but
 * loses the answer. After the same command has run again the table is exact, and nothing was loaded or committed twice.
 * Takes some minutes. Run it with: node test/prove/crash-matrix.ts
 */

const BLOWS: readonly Blow[] = ['killed before', 'killed after', 'answer lost']

const undisturbed = await crash(undefined)
const kinds = undisturbed.log.map(({ kind }) => kind)
console.log(`${kinds.length} requests: ${[...new Set(kinds)].join(', ')}`)
let struck = 0
let failed = 0
for (let at = 0; at < kinds.length; at++) {
  for (const blow of BLOWS) {
    try {
      // How often a job is looked at differs from run to run, and so does whether the last requests come.
      if ((await crash({ blow, strikes: (_, index) => index === at })).struck) struck++
    } catch (error) {
      failed++
      console.error(`request ${at} (${kinds[at]}), ${blow}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
}
console.log(`${3 * kinds.length} blows, ${struck} struck and left the table exact, ${failed} did not`)
process.exit(failed === 0 && struck > 2 * kinds.length ? 0 : 1)
