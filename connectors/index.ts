export { type GraphqlOptions, graphql } from './graphql/index.ts'
export { type ReportOptions, report } from './report/index.ts'
export * from './rest/index.ts'
