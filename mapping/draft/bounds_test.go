package draft_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"hishub/mapping/draft"
)

func dumpOf(sql string) draft.Sources {
	return draft.Sources{ID: "lanxi", Name: "兰溪医院", Schemas: []draft.File{{Name: "x.sql", Data: []byte(sql)}}}
}

// Of too many tables those are drafted that look like something; what is left out
// is said, and how to choose.
func TestManyTables(t *testing.T) {
	var sql strings.Builder
	for n := range 3000 {
		fmt.Fprintf(&sql, "create table t%d (a int);\n", n)
	}
	sql.WriteString("create table payment_settle (pay_no varchar(20) not null, amount decimal(10,2));\n")
	f, err := draft.New(t.Context(), dumpOf(sql.String()))
	if err != nil {
		t.Fatal(err)
	}
	if notes := strings.Join(f.Notes, "\n"); !strings.Contains(notes, "1001 of 3001 tables, views and procedures are left out") || !strings.Contains(notes, "--only") {
		t.Errorf("notes: %s", notes)
	}
	if len(f.Guesses) != 1 {
		t.Errorf("the last table was not recognised: %v", f.Guesses)
	}
}

func TestManyColumns(t *testing.T) {
	var sql strings.Builder
	sql.WriteString("create table wide (c0 int")
	for n := 1; n < 1500; n++ {
		fmt.Fprintf(&sql, ", c%d int", n)
	}
	sql.WriteString(");\ncreate table wider (c0 int);")
	f, err := draft.New(t.Context(), dumpOf(sql.String()))
	if err != nil {
		t.Fatal(err)
	}
	if notes := strings.Join(f.Notes, "\n"); !strings.Contains(notes, "500 of 1500 columns of wide are left out") || strings.Contains(notes, "wider") {
		t.Errorf("notes: %s", notes)
	}
}

func TestADraftIsBrokenOff(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if f, err := draft.New(ctx, dumpOf("create table payment (a int);")); f != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v", f, err)
	}
}
