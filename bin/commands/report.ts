import { rename, rm, writeFile } from 'node:fs/promises'
import { resolveClients } from '../../lib/config.ts'
import { ConfigError } from '../../lib/errors.ts'
import { GRANT_KEY } from '../../lib/oauth/seal.ts'
import { dayAt } from '../../lib/plan/schedule.ts'
import { reportPage } from '../../lib/report/page.ts'
import { type PeriodAsked, periodOf } from '../../lib/report/period.ts'
import { report as reportOf } from '../../lib/report/report.ts'
import { output } from '../output.ts'
import { reportLines } from '../report-lines.ts'
import { patientCall, withConfig } from './context.ts'
import type { CommonOptions } from './options.ts'

/** `headrace report`: what became of a week. Ends with 0 whatever it says: a report that was made is a report. */
export async function report(options: CommonOptions & PeriodAsked & { readonly html?: string }): Promise<void> {
  await withConfig(options.config, async config => {
    const now = Date.now()
    const period = periodOf(options, dayAt(now, config.timeZone))
    const clients = await resolveClients(config, undefined, patientCall.signal)
    const found = await reportOf({ config, clients, period, grantKey: process.env[GRANT_KEY], now })
    if (options.html !== undefined) await write(options.html, reportPage(found).text)
    if (options.json) output.json({ command: 'report', ...found })
    else for (const line of reportLines(found)) output.line(line)
  })
}

/** Writes a file that is there whole or not at all: whoever mails it may be waiting for it. */
async function write(file: string, content: string): Promise<void> {
  const part = `${file}.${process.pid}.part`
  try {
    await writeFile(part, content)
    await rename(part, file)
  } catch (error) {
    // Why the file could not be written is the error; that the rest of it may be left is not.
    await rm(part, { force: true }).catch(() => undefined)
    throw new ConfigError('USAGE', {
      message: `--html ${file}: ${error instanceof Error ? error.message : error}`,
      hint: 'Name a file that can be written. The report was not written, and nothing else was changed.',
      cause: error,
    })
  }
}
