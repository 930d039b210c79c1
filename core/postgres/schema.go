package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// SchemaVersion is the version of the schema at url and the one that this program
// has: the numbers of the latest migrations.
func SchemaVersion(ctx context.Context, url string) (have, want int64, err error) {
	files, err := migrations.ReadDir("migrations")
	if err != nil {
		return 0, 0, err
	}
	for _, f := range files {
		number, _, _ := strings.Cut(f.Name(), "_")
		if n, err := strconv.ParseInt(number, 10, 64); err == nil {
			want = max(want, n)
		}
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return 0, want, fmt.Errorf("read the schema's version: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	var made bool
	if err = conn.QueryRow(ctx, `select to_regclass('hub.goose') is not null`).Scan(&made); err == nil && made {
		err = conn.QueryRow(ctx, `select coalesce(max(version_id), 0) from hub.goose where is_applied`).Scan(&have)
	}
	if err != nil {
		return 0, want, fmt.Errorf("read the schema's version: %w", err)
	}
	return have, want, nil
}
