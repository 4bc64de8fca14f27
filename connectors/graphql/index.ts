export { graphqlAnswers } from '../../lib/http/graphql.ts'
export { type GraphqlOptions, graphql } from './graphql.ts'
