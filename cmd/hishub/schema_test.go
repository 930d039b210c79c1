package main

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"hishub/core/postgres"
	"hishub/mocks/servers"
)

// A command says which side is older, and not what SQL makes of it.
func TestACommandOnAnotherSchema(t *testing.T) {
	url := servers.Postgres(t)
	p := place{DatabaseURL: url, KeyFile: filepath.Join(t.TempDir(), "key")}
	ask := func(want string) {
		t.Helper()
		err := p.with(t.Context(), func(s *postgres.Store) error {
			_, _, err := s.Message(t.Context(), 1)
			return err
		})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("said is %v, must be %q", err, want)
		}
	}
	ask("the database has schema 0, this program needs")
	ok(t, postgres.Migrate(t.Context(), url))
	store, err := postgres.Open(t.Context(), postgres.Options{URL: url, KeyFile: p.KeyFile, CreateKey: true})
	ok(t, err)
	store.Close()
	ask("not found")
	db, err := sql.Open("pgx", url)
	ok(t, err)
	defer db.Close()
	change := func(statement string) {
		t.Helper()
		_, err := db.ExecContext(t.Context(), statement)
		ok(t, err)
	}
	change("insert into hub.goose (version_id, is_applied) values (99999, true)")
	ask("the database has schema 99999, this program knows")
	change("delete from hub.goose where version_id in (99999, 8)")
	change("delete from hub.goose where version_id > 8")
	ask("the database has schema 7, this program needs")
}
