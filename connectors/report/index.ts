export { jsonArray, jsonLines } from '../../lib/http/streamed.ts'
export type { Create, Poll } from './job.ts'
export { type PagedReport, type ReportFile, type ReportOptions, report } from './report.ts'
