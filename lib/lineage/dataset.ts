import type { Connector } from '../connector.ts'

/** How OpenLineage names a dataset: the namespace says where it is, the name which one it is there. */
export interface DatasetName {
  readonly namespace: string
  readonly name: string
}

/** Scheme and host, without whoever is named before it; the path; what stands behind a `#`. The query is left out, it often carries tokens. */
const ADDRESS = /^([a-z][a-z0-9+.-]*:\/\/)(?:[^/?#]*@)?([^/?#]+)([^?#]*)(?:\?[^#]*)?(#.*)?$/i

/**
 * What a connector reads: origin and path of its address, with placeholders left as they stand, so that all clients read one dataset. Without an address only the
 * name of the connector is known.
 */
export function apiName({ name, address }: Pick<Connector<unknown>, 'name' | 'address'>): DatasetName {
  const [, scheme, host, path = '', part = ''] = ADDRESS.exec(known(address) ?? '') ?? []
  return scheme === undefined || host === undefined
    ? { namespace: 'api', name }
    : { namespace: `${scheme}${host}`, name: `${path === '' ? '/' : path}${part}` }
}

/** An address that cannot be had is the business of whoever reads there. */
function known(address: (() => string) | undefined): string | undefined {
  try {
    return address?.()
  } catch {
    return undefined
  }
}
