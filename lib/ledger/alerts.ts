/** Something that is wrong, as somebody is to be told of it. */
export interface Alert {
  /** Stays the same for as long as it lasts. */
  readonly id: string
  /** What to tell, as its teller understands it. */
  readonly content: string
}

/** What is to be told of an alert: that it began, that it lasts, or that it is over. */
export interface DueAlert extends Alert {
  readonly state: 'new' | 'lasting' | 'over'
}

/** What somebody was told of, shared by all processes: each alert is told once when it begins, again while it lasts, and once when it is over. */
export interface AlertLedger {
  /**
   * Says what is wrong now, and takes what is to be told for `claimMs` milliseconds: what was never told, or not for `againMs`; and what was told and is
   * over. `complete`: whatever is not among the alerts is over; otherwise it is left as it is.
   */
  takeAlerts(
    alerts: readonly Alert[],
    options: { readonly complete: boolean; readonly againMs: number; readonly claimMs: number },
  ): Promise<DueAlert[]>
  /** These were told. What was taken and is not told is due again when the claim runs out. */
  alertsTold(alerts: readonly DueAlert[]): Promise<void>
}
