/** The file of a warehouse that only the processes of one host reach. */
export interface WarehouseFile {
  readonly path: string
  /** Stands in the file, and in no other; null while there is no file. */
  readonly id: string | null
}

/** Where a pipeline is published: which file of which host. */
export interface Home extends WarehouseFile {
  readonly host: string
}

/** Of a ledger that several hosts use: where pipelines are published whose warehouse is a file. */
export interface HomeLedger {
  /**
   * Remembers the file of this host as the home of a pipeline, and answers undefined; or answers with the home it has already, when that is another
   * file of another host. A file that is brought along to this host is the same. A file that is not there yet is not remembered.
   */
  keepHome(pipeline: string, file: WarehouseFile): Promise<Home | undefined>
}
