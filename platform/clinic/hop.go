package clinic

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Hop is a moment in the life of what a number names, for its trace: numbers and states,
// and nothing that names a patient or says what he has.
type Hop struct {
	At       time.Time
	Hospital string
	No       string
	What     string
	// Related are numbers of others that belong to it.
	Related []string
}

// Hops are what a module's query finds of a number: rows of the fields of Hop. $1 is the
// number and $2 the hospital, "" while nobody knows it. A schema that is not there, because
// the module never ran at this database, has none.
func Hops(ctx context.Context, db *pgxpool.Pool, query, no, hospital string) (hops []Hop, err error) {
	rows, err := db.Query(ctx, `select * from (`+query+`) h where $1::text <> '' and $2::text is not null`, no, hospital) // some queries know no hospital
	if err == nil {
		hops, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Hop])
	}
	var missing *pgconn.PgError
	if errors.As(err, &missing) && (missing.Code == undefinedTable || missing.Code == undefinedSchema) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("trace %s: %w", no, err)
	}
	return hops, nil
}

// Codes of PostgreSQL (Appendix A of its manual).
const undefinedTable, undefinedSchema = "42P01", "3F000"
