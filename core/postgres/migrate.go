package postgres

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	_ "github.com/jackc/pgx/v5/stdlib" // goose migrates over database/sql
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	gooselock "github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings the schema "hub" of the database at url to this program's
// version and makes the partitions of the coming months. Several processes may
// do it at once; one works, the others wait.
func Migrate(ctx context.Context, url string) error {
	if err := migrate(ctx, url); err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	return nil
}

func migrate(ctx context.Context, url string) error {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(ctx, `create schema if not exists hub`); err != nil {
		// Two processes may both find none, and one of them fails.
		var exists bool
		if again := db.QueryRowContext(ctx, `select exists(select from pg_namespace where nspname = 'hub')`).Scan(&exists); again != nil || !exists {
			return err
		}
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	versions, err := database.NewStore(database.DialectPostgres, "hub.goose")
	if err != nil {
		return err
	}
	one, err := gooselock.NewPostgresSessionLocker()
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectCustom, db, files, goose.WithStore(versions), goose.WithSessionLocker(one))
	if err != nil {
		return err
	}
	if _, err = provider.Up(ctx); err != nil {
		return err
	}
	return nil
}
