#!/bin/sh
# Copies the primary at the first start, then follows it under the name that the primary waits for.
set -eu
PGDATA=/var/lib/postgresql/data
PGPASSWORD=$(cat /run/secrets/postgres_password)
export PGDATA PGPASSWORD
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  # -R writes how to follow, password included, into postgresql.auto.conf.
  pg_basebackup -d "host=postgres-1 user=hishub application_name=standby" -D "$PGDATA" -X stream -R
  chmod 700 "$PGDATA"
fi
# After a failover it waits for nobody until it has a standby of its own.
exec postgres -c "synchronous_standby_names=" -c log_error_verbosity=terse -c log_min_error_statement=panic -c jit=off
