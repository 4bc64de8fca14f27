import type { Context } from './context.ts'
import type { Job } from './jobs.ts'
import type { Json } from './json.ts'
import { fetchResult } from './results.ts'
import { text, object } from './json.ts'
export async function dryRun(context: Context, body: Json): Promise<Json> { return { context, body } }
export async function runQuery(context: Context, job: Job): Promise<void> {
  job.result = await context.duck.use(s => fetchResult(s, text(object(job.configuration.query).query) ?? ''))
}
