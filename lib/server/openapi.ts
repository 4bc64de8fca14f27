import type { FastifyInstance, FastifySchema, RouteOptions } from 'fastify'
import { VERSION } from '../version.ts'
import { ERROR } from './schemas.ts'

/** A JSON Schema of an object, as far as this file looks into it. */
interface ObjectSchema {
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, { readonly description?: string }>>
}

/** Adds `/v1/openapi.json`: what the server can be asked, made of the schemas that requests are checked with. */
export function openapiRoute(app: FastifyInstance, routes: readonly RouteOptions[]): void {
  app.get('/v1/openapi.json', { schema: { summary: 'This document, OpenAPI 3.1' } }, async () => openapi(routes))
}

/** The description of routes as an OpenAPI document. */
export function openapi(routes: readonly RouteOptions[]) {
  const paths = Map.groupBy(routes, ({ url }) => url.replace(/:(\w+)/g, '{$1}'))
  return {
    openapi: '3.1.0',
    info: { title: 'headrace', version: VERSION, license: { name: 'Apache 2.0', identifier: 'Apache-2.0' } },
    servers: [{ url: '/' }],
    paths: Object.fromEntries([...paths].map(([path, same]) => [path, Object.fromEntries(same.flatMap(operations))])),
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      responses: { refused: answer('The request is refused.', ERROR) },
    },
  }
}

function operations({ method, schema = {} }: RouteOptions) {
  const operation = operationOf(schema)
  return [method].flat().map(one => [one.toLowerCase(), operation] as const)
}

function operationOf({ summary = '', description, params, querystring, body, response, security = [] }: FastifySchema) {
  const answers = Object.entries(response ?? {}).map(([status, schema]) => [status, answer(meaning(status), schema)] as const)
  return {
    summary,
    ...(description === undefined ? {} : { description }),
    security,
    parameters: [...parameters('path', params), ...parameters('query', querystring)],
    ...(body === undefined ? {} : { requestBody: { required: true, content: json(body) } }),
    responses: {
      ...(answers.length === 0 ? { 200: { description: 'It is answered.' } } : Object.fromEntries(answers)),
      default: { $ref: '#/components/responses/refused' },
    },
  }
}

function parameters(where: 'path' | 'query', schema: unknown) {
  const { required = [], properties = {} }: ObjectSchema = schema ?? {}
  return Object.entries(properties).map(([name, { description, ...rest }]) => ({
    name,
    in: where,
    required: required.includes(name),
    ...(description === undefined ? {} : { description }),
    schema: rest,
  }))
}

function meaning(status: string): string {
  return status.startsWith('2') ? 'It is answered.' : 'It is not: the answer says why.'
}

function answer(description: string, schema: unknown) {
  return { description, content: json(schema) }
}

function json(schema: unknown) {
  return { 'application/json': { schema } }
}
