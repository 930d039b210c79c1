#!/bin/sh
# Runs once, when the primary's cluster is made: lets the standby in, and has every commit wait for it
# from the first real start on (a command line would already hold up what makes the database).
set -eu
echo "host replication hishub samenet scram-sha-256" >> "$PGDATA/pg_hba.conf"
echo "synchronous_standby_names = 'FIRST 1 (standby)'" >> "$PGDATA/postgresql.conf"
