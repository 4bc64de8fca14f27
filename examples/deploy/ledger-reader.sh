#!/bin/sh
# Makes the account that Grafana reads the ledger with: whatever headrace makes from now on it may read, and change nothing. Grants are encrypted there, but nothing
# of them is for a dashboard.
set -eu
psql --set ON_ERROR_STOP=1 --set password="$LEDGER_PASSWORD" --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
CREATE ROLE ledger_reader LOGIN PASSWORD :'password';
ALTER DEFAULT PRIVILEGES FOR ROLE CURRENT_USER GRANT USAGE ON SCHEMAS TO ledger_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE CURRENT_USER GRANT SELECT ON TABLES TO ledger_reader;
SQL
