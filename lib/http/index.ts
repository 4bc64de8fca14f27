export type { Limit, LimitState } from '../pace/pace.ts'
export type { Authorization, Authorize, Http, JsonAnswer, JsonRequest } from './client.ts'
export { graphqlAnswers } from './graphql.ts'
export type { Json, JsonObject } from './json.ts'
export {
  cursor,
  lastId,
  linkHeader,
  type Next,
  nextUrl,
  offset,
  type PageFacts,
  type PageSize,
  type Paging,
  pageNumber,
  pageToken,
} from './paginate.ts'
export type { AnswerHeaders, ApiAnswer, ApiPolicy, Classify, ReadLimits, ReadWait, Verdict } from './policy.ts'
export type { Headers, Question } from './question.ts'
export {
  costLeft,
  costWait,
  fixedWait,
  type LeftHeaders,
  leftHeaders,
  quotaLeft,
  resetHeader,
  retryAfter,
  type TimeUnit,
  type UsedHeader,
  usedHeader,
  usedWait,
  waitField,
  waitHeader,
} from './signals.ts'
export { type Format, jsonArray, jsonLines, type StreamedList, streamed } from './streamed.ts'
export { type PagedList, type Records, type TokenExpired, type Wall, walk } from './walk.ts'
