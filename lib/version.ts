import manifest from '../package.json' with { type: 'json' }

/** The version of this headrace, as it stands in the ledger, metrics and logs. */
export const VERSION: string = manifest.version
