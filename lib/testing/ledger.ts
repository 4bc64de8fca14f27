import { ATTEMPT_CASES } from './ledger-attempt-cases.ts'
import { BLOCKED_CASES } from './ledger-blocked-cases.ts'
import type { LedgerCase } from './ledger-case.ts'
import { GRANT_CASES } from './ledger-grant-cases.ts'
import { OVERVIEW_CASES } from './ledger-overview-cases.ts'
import { PUBLISHING_CASES } from './ledger-publishing-cases.ts'
import { READ_CASES } from './ledger-read-cases.ts'
import { RUN_CASES } from './ledger-run-cases.ts'
import { SERVED_CASES } from './ledger-served-cases.ts'
import { SHAPE_CASES } from './ledger-shape-cases.ts'
import { WATCH_CASES } from './ledger-watch-cases.ts'
import { WORK_CASES } from './ledger-work-cases.ts'

export type { LedgerCase, LedgerHost } from './ledger-case.ts'

/** Everything that the contract of a ledger promises, one case each. */
export const LEDGER_CASES: readonly LedgerCase[] = [
  ...RUN_CASES,
  ...SERVED_CASES,
  ...BLOCKED_CASES,
  ...ATTEMPT_CASES,
  ...PUBLISHING_CASES,
  ...SHAPE_CASES,
  ...GRANT_CASES,
  ...READ_CASES,
  ...OVERVIEW_CASES,
  ...WATCH_CASES,
  ...WORK_CASES,
]
