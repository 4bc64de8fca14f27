/**
 * The ledger's tables, one step per version; a database of an older version is brought forward step by step. Steps are never edited
 * once released. The SQL keeps to what SQLite and PostgreSQL share: integer epoch milliseconds, text for days and JSON.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE run (
    run_id TEXT PRIMARY KEY,
    pipeline TEXT NOT NULL,
    request TEXT NOT NULL,
    headrace TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    finished_at INTEGER
  );
  CREATE INDEX run_open ON run (request) WHERE finished_at IS NULL;

  CREATE TABLE chunk (
    run_id TEXT NOT NULL,
    pipeline TEXT NOT NULL,
    client TEXT NOT NULL,
    window_from TEXT NOT NULL,
    window_to TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    attempt_id TEXT,
    not_before INTEGER NOT NULL DEFAULT 0,
    lease_owner TEXT,
    lease_until INTEGER NOT NULL DEFAULT 0,
    problem_code TEXT,
    problem_message TEXT,
    problem_hint TEXT,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (run_id, client, window_from)
  );
  CREATE INDEX chunk_due ON chunk (run_id, state, window_from, client);
  CREATE INDEX chunk_active ON chunk (pipeline, client) WHERE state IN ('running', 'staged');
  CREATE INDEX chunk_attempt ON chunk (attempt_id);
  CREATE INDEX chunk_problem ON chunk (pipeline, state) WHERE state IN ('held', 'failed', 'parked');

  CREATE TABLE attempt (
    attempt_id TEXT PRIMARY KEY,
    generation INTEGER NOT NULL UNIQUE,
    run_id TEXT NOT NULL,
    pipeline TEXT NOT NULL,
    client TEXT NOT NULL,
    window_from TEXT NOT NULL,
    window_to TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    outcome TEXT,
    started_at INTEGER NOT NULL,
    finished_at INTEGER,
    group_id TEXT,
    extracted INTEGER NOT NULL DEFAULT 0,
    staged INTEGER NOT NULL DEFAULT 0,
    rejected INTEGER NOT NULL DEFAULT 0,
    deduplicated INTEGER NOT NULL DEFAULT 0,
    inserted INTEGER NOT NULL DEFAULT 0,
    deleted INTEGER NOT NULL DEFAULT 0,
    summary TEXT
  );
  CREATE INDEX attempt_run ON attempt (run_id, outcome);
  CREATE INDEX attempt_chunk ON attempt (pipeline, client, window_from, started_at);

  CREATE TABLE day (
    pipeline TEXT NOT NULL,
    client TEXT NOT NULL,
    day TEXT NOT NULL,
    rows INTEGER NOT NULL,
    rejected INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    totals TEXT NOT NULL,
    attempt_id TEXT NOT NULL,
    published_at INTEGER NOT NULL,
    doubted_by TEXT,
    PRIMARY KEY (pipeline, client, day)
  );

  CREATE TABLE restatement (
    pipeline TEXT NOT NULL,
    client TEXT NOT NULL,
    day TEXT NOT NULL,
    attempt_id TEXT NOT NULL,
    added INTEGER NOT NULL,
    removed INTEGER NOT NULL,
    rows_before INTEGER NOT NULL,
    rows_after INTEGER NOT NULL,
    totals_before TEXT NOT NULL,
    totals_after TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (pipeline, client, day, attempt_id)
  );
  CREATE INDEX restatement_at ON restatement (pipeline, at);

  CREATE TABLE shape (
    pipeline TEXT PRIMARY KEY,
    fields TEXT NOT NULL,
    seen_at INTEGER NOT NULL
  );
  `,
  `
  ALTER TABLE shape ADD COLUMN types TEXT NOT NULL DEFAULT '{}';
  ALTER TABLE shape ADD COLUMN undeclared TEXT NOT NULL DEFAULT '{}';

  CREATE TABLE presence (
    pipeline TEXT NOT NULL,
    client TEXT NOT NULL,
    fields TEXT NOT NULL,
    PRIMARY KEY (pipeline, client)
  );

  CREATE TABLE drift (
    pipeline TEXT NOT NULL,
    change TEXT NOT NULL,
    path TEXT NOT NULL,
    value TEXT NOT NULL,
    client TEXT NOT NULL,
    count INTEGER NOT NULL,
    records INTEGER NOT NULL,
    known TEXT NOT NULL,
    run_id TEXT NOT NULL,
    window_from TEXT NOT NULL,
    window_to TEXT NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (pipeline, change, path, value, client)
  );
  `,
  `
  CREATE TABLE access_grant (
    name TEXT PRIMARY KEY,
    generation INTEGER NOT NULL,
    sealed TEXT,
    obtained_at INTEGER,
    expires_at INTEGER,
    renew_at INTEGER,
    refresh_expires_at INTEGER,
    claim_id TEXT,
    lease_owner TEXT,
    lease_until INTEGER NOT NULL DEFAULT 0,
    intent_at INTEGER,
    not_before INTEGER NOT NULL DEFAULT 0,
    refusal TEXT
  );
  `,
  `
  CREATE TABLE pace (
    bucket TEXT PRIMARY KEY,
    next_at REAL NOT NULL,
    paused_until REAL NOT NULL,
    live_until REAL NOT NULL,
    peak REAL NOT NULL,
    slowed_at REAL NOT NULL
  );
  `,
  `
  ALTER TABLE chunk ADD COLUMN api TEXT NOT NULL DEFAULT '';
  ALTER TABLE chunk ADD COLUMN days INTEGER NOT NULL DEFAULT 1;
  ALTER TABLE chunk ADD COLUMN priority TEXT NOT NULL DEFAULT 'backfill';
  ALTER TABLE chunk ADD COLUMN served INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE chunk ADD COLUMN force INTEGER NOT NULL DEFAULT 0;
  UPDATE chunk SET force = 1 WHERE run_id IN (SELECT run_id FROM run WHERE request LIKE '%"force":true%');
  CREATE INDEX chunk_served ON chunk (state, priority DESC, window_to DESC, client) WHERE served = 1;
  CREATE INDEX chunk_reading ON chunk (client, api) WHERE state = 'running';

  CREATE TABLE occasion (
    pipeline TEXT NOT NULL,
    schedule TEXT NOT NULL,
    client TEXT NOT NULL,
    at INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (pipeline, schedule, client)
  );
  `,
  `
  DROP INDEX run_open;
  CREATE INDEX run_unfinished ON run (pipeline) WHERE finished_at IS NULL;
  `,
  `
  CREATE INDEX chunk_undone ON chunk (pipeline, client, window_from) WHERE state NOT IN ('published', 'unchanged');
  `,
  `
  CREATE TABLE operator_action (
    action_id TEXT PRIMARY KEY,
    at INTEGER NOT NULL,
    who TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    outcome TEXT NOT NULL
  );
  CREATE INDEX operator_action_at ON operator_action (at);
  `,
  `
  CREATE TABLE home (
    pipeline TEXT PRIMARY KEY,
    file_id TEXT NOT NULL,
    path TEXT NOT NULL,
    host TEXT NOT NULL,
    at INTEGER NOT NULL
  );
  `,
  `
  ALTER TABLE attempt ADD COLUMN columns TEXT NOT NULL DEFAULT '{}';
  ALTER TABLE attempt ADD COLUMN bytes_billed INTEGER NOT NULL DEFAULT 0;
  CREATE INDEX attempt_finished ON attempt (pipeline, finished_at);
  CREATE INDEX day_recent ON day (pipeline, day);

  CREATE TABLE alert (
    id TEXT PRIMARY KEY,
    content TEXT NOT NULL,
    told_at INTEGER,
    ended INTEGER NOT NULL DEFAULT 0,
    claimed_until INTEGER NOT NULL DEFAULT 0
  );
  `,
  `
  ALTER TABLE attempt ADD COLUMN member TEXT;
  ALTER TABLE chunk ADD COLUMN offered_until INTEGER NOT NULL DEFAULT 0;

  CREATE TABLE commit_turn (
    table_name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    owner TEXT NOT NULL,
    held_until INTEGER NOT NULL
  );
  `,
  `
  ALTER TABLE attempt ADD COLUMN requests INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE attempt ADD COLUMN retries INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE attempt ADD COLUMN waited_ms INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE attempt ADD COLUMN jobs INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE attempt ADD COLUMN slot_ms INTEGER NOT NULL DEFAULT 0;
  `,
  `
  ALTER TABLE attempt ADD COLUMN source_totals TEXT NOT NULL DEFAULT '[]';
  `,
  `
  ALTER TABLE attempt ADD COLUMN quotas TEXT NOT NULL DEFAULT '{}';
  `,
  `
  CREATE INDEX run_started ON run (started_at, run_id);
  ALTER TABLE day ADD COLUMN confirmed_at INTEGER NOT NULL DEFAULT 0;
  `,
]
