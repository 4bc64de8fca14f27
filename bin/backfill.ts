#!/usr/bin/env node
import { backfillCommand } from './commands/define.ts'
import { createProgram, run } from './run.ts'

await run(backfillCommand(createProgram('headrace-backfill', 'Reads a window of days from an API and publishes it.')))
