#!/usr/bin/env node
import { daemonCommand } from './commands/define.ts'
import { createProgram, run } from './run.ts'

await run(
  daemonCommand(
    createProgram('headrace-daemon', 'Reads what is due by the schedules of its pipelines, until it is told to stop.'),
  ),
)
