package dbhis

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"testing"
	"time"

	"hishub/mocks/books"
	"hishub/mocks/fault"
	"hishub/mocks/servers"
)

// both runs a test on either database.
func both(t *testing.T, test func(t *testing.T, o Options)) {
	t.Run("postgres", func(t *testing.T) { test(t, Options{Driver: "postgres", DSN: servers.Postgres(t)}) })
	t.Run("mariadb", func(t *testing.T) { test(t, Options{Driver: "mysql", DSN: servers.MariaDB(t)}) })
}

// caller is what a hub does: it knows the proxy's DSN and the tables of the manual.
type caller struct {
	testing.TB
	his *HIS
	db  *sql.DB
}

func start(t *testing.T, o Options) caller {
	t.Helper()
	o.Poll = 5 * time.Millisecond
	h, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	driver := map[string]string{"postgres": "pgx", "mysql": "mysql"}[o.Driver]
	db, err := sql.Open(driver, h.DSN())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = db.Close()
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return caller{t, h, db}
}

func (c caller) books() books.Export {
	c.Helper()
	b, err := c.his.Books(context.Background())
	if err != nil {
		c.Fatal(err)
	}
	return b
}

func (c caller) add(r fault.Rule) {
	c.Helper()
	if err := c.his.AddFaults(context.Background(), []fault.Rule{r}); err != nil {
		c.Fatal(err)
	}
}

func (c caller) exec(query string, args ...any) error {
	_, err := c.db.Exec(c.his.bind(query), args...)
	return err
}

// save writes header and lines in one transaction. COMMIT is a statement of its own
// because sql.Tx.Commit of go-sql-driver waits for ever, whatever the context says.
func (c caller) save(ctx context.Context, no, total string) error {
	conn, err := c.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	exec := func(query string, args ...any) {
		if err == nil {
			_, err = conn.ExecContext(ctx, c.his.bind(query), args...)
		}
	}
	exec("start transaction")
	exec(`insert into zjk_cf_main (yljgdm, cfh, jzh, patid, xm, xb, csrq, ksdm, ysdm, zddm, zdmc, zje, kfsj)
		values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, "NY0001", no, "V1", "0000000001", "䶮测试", "1", "19900101", "D1", "Y1", "J06.900", "急性上呼吸道感染", total, "2026-01-05 14:56:00")
	for i, line := range [][4]string{{"YP1", "2", "12.3450", "24.69"}, {"YP2", "12", "1.7917", "21.50"}} {
		exec(`insert into zjk_cf_detail (yljgdm, cfh, xh, ypdm, ypmc, sl, dw, dj, je) values (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			"NY0001", no, i+1, line[0], "阿莫西林胶囊", line[1], "盒", line[2], line[3])
	}
	if err != nil {
		_, _ = conn.ExecContext(ctx, "rollback")
		return err
	}
	exec("commit")
	return err
}

func (c caller) void(no string) error {
	return c.exec("insert into zjk_cf_zf (yljgdm, cfh, zfyy) values (?, ?, ?)", "NY0001", no, "测试")
}

func (c caller) refund(no, order, sum string) error {
	return c.exec("insert into zjk_tf (yljgdm, tfdh, ddh, je, tfsj, czy) values (?, ?, ?, ?, ?, ?)", "NY0001", no, order, sum, "2026-01-06 00:00:01", "net07")
}

// verdict waits for the newest row of that number to be judged: czbz and the words or the number.
func (c caller) verdict(table, no string) (czbz, words, hisNo string) {
	c.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		var w, n sql.NullString
		err := c.db.QueryRowContext(ctx, c.his.bind("select czbz, cwxx, his_no from "+table+" where yljgdm = ? and "+keyOf(table)+" = ? order by id desc limit 1"), "NY0001", no).Scan(&czbz, &w, &n)
		if err != nil {
			c.Fatal(err)
		}
		if czbz == "2" || czbz == "9" {
			return czbz, w.String, n.String
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (c caller) wantVerdict(table, no, czbz, words string) string {
	c.Helper()
	gotCzbz, gotWords, hisNo := c.verdict(table, no)
	if gotCzbz != czbz || gotWords != words {
		c.Errorf("%s %s: czbz %s %s, want %s %s", table, no, gotCzbz, gotWords, czbz, words)
	}
	return hisNo
}

type settled struct {
	code           int
	words, receipt string
	booked         string
}

func (c caller) settle(ctx context.Context, order, bills, sum string) (settled, error) {
	args := []any{order, bills, sum, "WX", "42" + order, "2026-01-05 23:59:58", "net07"}
	var s settled
	var receipt, booked sql.NullString
	into := []any{&s.code, &s.words, &receipt, &booked}
	conn, err := c.db.Conn(ctx)
	if err != nil {
		return s, err
	}
	defer conn.Close()
	if c.his.options.Driver == "postgres" {
		err = conn.QueryRowContext(ctx, "call zjk_jf_settle($1, $2, $3, $4, $5, $6, $7, null, null, null, null)", args...).Scan(into...)
	} else {
		if _, err = conn.ExecContext(ctx, "call zjk_jf_settle(?, ?, ?, ?, ?, ?, ?, @c, @m, @s, @y)", args...); err == nil {
			err = conn.QueryRowContext(ctx, "select @c, @m, @s, @y").Scan(into...)
		}
	}
	s.receipt, s.booked = receipt.String, booked.String
	return s, err
}

func (c caller) wantSettled(order, bills, sum string, code int, words string) settled {
	c.Helper()
	s, err := c.settle(context.Background(), order, bills, sum)
	if err != nil || s.code != code || s.words != words {
		c.Errorf("settle %s: %+v %v, want %d %s", order, s, err, code, words)
	}
	return s
}

func (c caller) texts(query string, args ...any) []string {
	c.Helper()
	rows, err := c.db.Query(c.his.bind(query), args...)
	if err != nil {
		c.Fatal(err)
	}
	defer rows.Close()
	columns, _ := rows.Columns()
	var list []string
	for rows.Next() {
		cells := make([]sql.NullString, len(columns))
		into := make([]any, len(columns))
		for i := range cells {
			into[i] = &cells[i]
		}
		if err := rows.Scan(into...); err != nil {
			c.Fatal(err)
		}
		var words []string
		for _, cell := range cells {
			words = append(words, cell.String)
		}
		list = append(list, strings.Join(words, "|"))
	}
	if err := rows.Err(); err != nil {
		c.Fatal(err)
	}
	return list
}

func (c caller) wantTexts(query string, want ...string) {
	c.Helper()
	if got := c.texts(query); !slices.Equal(got, want) {
		c.Errorf("%s:\n got %q\nwant %q", query, got, want)
	}
}

func (c caller) until(what string, is func() bool) {
	c.Helper()
	for deadline := time.Now().Add(60 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.Fatal("not in time: ", what)
		}
	}
}
