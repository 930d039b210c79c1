package main

import (
	"context"
	"database/sql"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hishub/connectors"
	"hishub/core"
	"hishub/core/inbound"
	"hishub/core/redis"
	"hishub/mapping"
	shipped "hishub/mapping/hospitals"
	"hishub/mocks/books"
	"hishub/mocks/dbhis"
	"hishub/mocks/servers"
)

// TestAHISLeavesRows: 南园 calls nobody. It leaves window refunds and what was
// dispensed in a table, and the hub marks each row with its answer.
func TestAHISLeavesRows(t *testing.T) {
	for _, driver := range []string{"postgres", "mysql"} {
		t.Run(driver, func(t *testing.T) {
			w, his, db := watchedTable(t, driver, nanyuan(t, "", ""))
			for _, n := range []dbhis.Notice{
				{Kind: "refund", No: "W1", Order: "IH1", AmountFen: 2150, Reason: "退药"},
				{Kind: "refund", No: "W2", Order: "IH1", AmountFen: 1},
				{Kind: "refund", No: "W3", Order: "IH1"}, // nothing is no refund
				{Kind: "dispensed", No: "F1", Prescription: "RXIH1"},
				{Kind: "refund", No: "W1", Order: "IH1", AmountFen: 2150, Reason: "退药"}, // once more
			} {
				ok(t, his.Tell(w.ctx, n))
			}
			_, err := db.ExecContext(w.ctx, "insert into zjk_tz (yljgdm, lx, dh, sj) values ('NY0001', '8', 'X1', '2026-01-05 10:00:00')")
			ok(t, err)
			tables := w.look(t)
			all := w.answered(his, 6)
			var states []string
			for _, n := range all {
				states = append(states, n.No+" "+n.State)
			}
			if got := strings.Join(states, ", "); got != "W1 done, W2 refused, W3 invalid, F1 done, W1 done, X1 invalid" {
				t.Errorf("answered: %s", got)
			}
			if all[0].Refund == "" || all[4].Refund != all[0].Refund || all[1].Words != "可退金额不足" || all[2].Words == "" {
				t.Errorf("answered with %+v", all)
			}
			if n, sum := w.channel.moved(); n != 1 || sum != 2150 {
				t.Errorf("%d refunds of %d fen moved", n, sum)
			}

			// The mark was lost: the same row gets the same answer, and no money moves.
			_, err = db.ExecContext(w.ctx, "update zjk_tz set clbz = '0', tkdh = null where dh = 'W1'")
			ok(t, err)
			again := w.answered(his, 6)
			if again[0].State != "done" || again[0].Refund != all[0].Refund {
				t.Errorf("after the mark was lost: %+v, before %+v", again[0], all[0])
			}
			if n, _ := w.channel.moved(); n != 1 {
				t.Errorf("%d refunds moved", n)
			}
			tables.Close()

			facts, err := w.store.ListInbound(w.ctx, inboundOf("nanyuan", core.RefundApply, "W1"))
			ok(t, err)
			if len(facts) != 1 || facts[0].State != "done" || facts[0].Times < 4 || facts[0].Conflicts != 0 {
				t.Errorf("kept is %+v", facts)
			}
			ok(t, his.Tell(w.ctx, dbhis.Notice{Kind: "dispensed", No: "F2", Prescription: "RXIH1"}))
			if last := w.notices(his); last[6].State != "" {
				t.Error("a table that is closed is looked at")
			}
		})
	}
}

// TestARowThatChangesWhileItIsDecided: what is marked done is what the money moved for.
func TestARowThatChangesWhileItIsDecided(t *testing.T) {
	for _, driver := range []string{"postgres", "mysql"} {
		t.Run(driver, func(t *testing.T) {
			w, his, db := watchedTable(t, driver, nanyuan(t, "", ""))
			was := w.server.Desk.Deciders[core.RefundApply]
			w.server.Desk.Deciders[core.RefundApply] = func(ctx context.Context, h string, b core.Body) (core.Resolution, error) {
				if _, err := db.ExecContext(ctx, "update zjk_tz set je = 20.00 where dh = 'W1'"); err != nil {
					return core.Resolution{}, err
				}
				return was(ctx, h, b)
			}
			ok(t, his.Tell(w.ctx, dbhis.Notice{Kind: "refund", No: "W1", Order: "IH1", AmountFen: 2150, Reason: "退药"}))
			w.look(t)
			all := w.answered(his, 1)
			if n, sum := w.channel.moved(); n != 1 || sum != 2150 {
				t.Errorf("%d refunds of %d fen moved", n, sum)
			}
			if all[0].AmountFen != 2000 || all[0].State != "refused" || all[0].Words != "该单号已用于另一笔内容" || all[0].Refund != "" {
				t.Errorf("the row that changed is answered with %+v", all[0])
			}
		})
	}
}

// TestARowThatCannotBeMarkedHoldsUpNobody: the hospital's own trigger refuses the mark
// of the first row.
func TestARowThatCannotBeMarkedHoldsUpNobody(t *testing.T) {
	for name, trigger := range map[string]string{
		"raised": "begin if new.dh = 'W0' and new.clbz <> '0' then raise exception 'closed'; end if; return new; end",
		// Not a word of the HIS's own, but a fault that nobody can judge.
		"division": "begin if new.dh = 'W0' and new.clbz <> '0' then new.yx := 1 / (new.yx - new.yx); end if; return new; end",
	} {
		t.Run(name, func(t *testing.T) {
			w, his, db := watchedTable(t, "postgres", nanyuan(t, "", ""))
			for _, sql := range []string{
				"create function closed() returns trigger language plpgsql as $$ " + trigger + " $$",
				"create trigger closed before update on zjk_tz for each row execute function closed()",
			} {
				_, err := db.ExecContext(w.ctx, sql)
				ok(t, err)
			}
			ok(t, his.Tell(w.ctx, dbhis.Notice{Kind: "refund", No: "W0", Order: "IH1", AmountFen: 1}))
			ok(t, his.Tell(w.ctx, dbhis.Notice{Kind: "refund", No: "W1", Order: "IH1", AmountFen: 2149, Reason: "退药"}))
			tables := w.look(t)
			for deadline := time.Now().Add(20 * time.Second); w.notices(his)[1].State != "done" || w.served.of("unmarked") == 0; time.Sleep(20 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("the row behind it has %+v", w.notices(his)[1])
				}
			}
			tables.Close()
			if n := strings.Count(w.log.String(), "a row cannot be marked"); n != 1 {
				t.Errorf("the log says it %d times of one row", n)
			}
		})
	}
}

// TestAMarkThatReachesNoRow: done names another column, so that every look finds the
// row again. It is served twice, as after a mark that was lost; then somebody hears of it.
func TestAMarkThatReachesNoRow(t *testing.T) {
	w, his, _ := watchedTable(t, "postgres", nanyuan(t, "where id = :id and", "where yljgdm = :id and"))
	tables := w.look(t)
	for n, no := range []string{"F1", "F2"} {
		ok(t, his.Tell(w.ctx, dbhis.Notice{Kind: "dispensed", No: no, Prescription: "RXIH1"}))
		for deadline := time.Now().Add(time.Minute); w.served.of("unmarked") != n+1; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: nobody was told that the mark reaches no row", no)
			}
		}
	}
	tables.Close()
	if n := strings.Count(w.log.String(), "done touched no row"); n != 2 {
		t.Errorf("the log says it %d times of two rows", n)
	}
	// While the second row was looked at, the first was left alone.
	if n := w.served.of("done"); n != 4 {
		t.Errorf("two rows were served %d times, not twice each", n)
	}
}

// watchedTable is 南园 with its table in a database of that driver, and an order that is paid.
func watchedTable(t *testing.T, driver string, files fs.FS) (*window, *dbhis.HIS, *sql.DB) {
	t.Helper()
	w := newWindow(t)
	dsn := map[string]func(testing.TB) string{"postgres": servers.Postgres, "mysql": servers.MariaDB}[driver](t)
	his, err := dbhis.Start(w.ctx, dbhis.Options{Driver: driver, DSN: dsn, Poll: 10 * time.Millisecond})
	ok(t, err)
	t.Cleanup(func() { his.Close() })
	w.openTable(t, driver, his.DSN(), files)
	w.pay("nanyuan", "IH1")
	ok(t, his.Edit(w.ctx, books.Edit{Add: &books.Settlement{Order: "IH1", Bills: []string{"RXIH1"}, AmountFen: 2150, Channel: "WX", ChannelNo: "42", Operator: "net07"}}))
	db, err := sql.Open(map[string]string{"postgres": "pgx", "mysql": "mysql"}[driver], dsn)
	ok(t, err)
	t.Cleanup(func() { db.Close() })
	return w, his, db
}

// look looks at 南园's table until the test ends, or the tables are closed.
func (w *window) look(t *testing.T) *inbound.Tables {
	t.Helper()
	tables := &inbound.Tables{Server: w.server}
	tables.Set([]inbound.Watched{{Hospital: "nanyuan", Listener: "notice"}})
	t.Cleanup(tables.Close)
	return tables
}

// nanyuan is the shipped folder with something else in hospital.yaml.
func nanyuan(t *testing.T, written, instead string) fs.FS {
	t.Helper()
	files, err := fs.Sub(shipped.FS, "nanyuan")
	ok(t, err)
	if written == "" {
		return files
	}
	dir := t.TempDir()
	ok(t, os.CopyFS(dir, files))
	name := filepath.Join(dir, "hospital.yaml")
	text, err := os.ReadFile(name)
	ok(t, err)
	if strings.Count(string(text), written) != 1 {
		t.Fatalf("%q is not once in hospital.yaml", written)
	}
	ok(t, os.WriteFile(name, []byte(strings.Replace(string(text), written, instead, 1)), 0o600))
	return os.DirFS(dir)
}

// openTable opens 南园 with its database.
func (w *window) openTable(t *testing.T, driver, dsn string, files fs.FS) {
	t.Helper()
	env := map[string]string{"NANYUAN_DRIVER": driver, "NANYUAN_DSN": dsn}
	f, err := mapping.Load(files, mapping.Options{Open: connectors.Open, Listen: connectors.Listen, Env: func(n string) (string, bool) { v, ok := env[n]; return v, ok }})
	ok(t, err)
	_, err = w.store.Apply(w.ctx, "nanyuan", f.Dialect.Name, []byte("archive"), "digest", "tester", "")
	ok(t, err)
	client := redis.Embedded()
	t.Cleanup(func() { client.Close() })
	opened, err := openHospital(f.Dialect, 1, redis.NewSessions(client), nil)
	ok(t, err)
	t.Cleanup(func() { opened.Close() })
	opened.Listeners["notice"].Every = 20 * time.Millisecond
	w.opened["nanyuan"] = opened
}

func (w *window) notices(his *dbhis.HIS) []dbhis.Notice {
	w.Helper()
	all, err := his.Notices(w.ctx)
	ok(w, err)
	return all
}

// answered waits until every row has its answer, and refunds are in the books.
func (w *window) answered(his *dbhis.HIS, rows int) []dbhis.Notice {
	w.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		all, open := w.notices(his), 0
		for _, n := range all {
			if n.State == "" {
				open++
			}
		}
		if len(all) == rows && open == 0 {
			return all
		}
		if time.Now().After(deadline) {
			w.Fatalf("%d of %d rows are not answered", open, len(all))
		}
	}
}
