/** What the tests use of oidc-provider, which ships no types. */
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http'

  interface Saved {
    save(): Promise<string>
  }

  export default class Provider {
    constructor(issuer: string, configuration: object)
    callback(): (request: IncomingMessage, response: ServerResponse) => void
    on(event: string, listener: () => void): void
    readonly Client: { find(id: string): Promise<object | undefined> }
    readonly Grant: new (
      properties: object,
    ) => Saved & {
      addOIDCScope(scope: string): void
    }
    readonly RefreshToken: new (
      properties: object,
    ) => Saved
    readonly AccessToken: { find(token: string): Promise<object | undefined> }
  }
}
