package postgres

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/bits"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/core/reconcile"
)

// SaveStatement implements reconcile.Store. The entries go to a file first, as
// whoever gives them may take minutes and a transaction that writes for so long
// would hold the feed back; and only so it is known before anything is written
// whether these books are new.
func (s *Store) SaveStatement(ctx context.Context, st reconcile.Statement, entries reconcile.Stream) (reconcile.Statement, error) {
	sp, err := spoolOf(st.Day, entries)
	if err == nil {
		defer sp.close()
		err = s.partitionOf(ctx, st.Day)
	}
	if err == nil {
		err = s.inTransaction(ctx, func(tx pgx.Tx) error {
			st, err = saveStatement(ctx, tx, st, sp)
			return err
		})
	}
	if err != nil {
		return reconcile.Statement{}, fmt.Errorf("keep the books of %s (%s) of %s at hospital %s: %w", st.Party, st.Source, st.Day, st.Hospital, err)
	}
	return st, nil
}

// saveStatement writes what was spooled, unless the newest books are the same.
func saveStatement(ctx context.Context, tx pgx.Tx, st reconcile.Statement, sp *spool) (reconcile.Statement, error) {
	if err := lock(ctx, tx, lockOf("hub statement", st.Hospital, st.Day, string(st.Party), st.Source)); err != nil {
		return st, err
	}
	rows, err := tx.Query(ctx, `select `+statementColumns+` from hub.statement
		where hospital = $1 and day = $2::text::date and party = $3 and source = $4 order by id desc limit 1`, st.Hospital, st.Day, string(st.Party), st.Source)
	if err != nil {
		return st, err
	}
	newest, err := pgx.CollectExactlyOneRow(rows, scanStatement)
	if err == nil && newest.Digest == sp.Digest {
		return newest, nil
	}
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return st, err
	}
	st.Digest, st.Entries, st.Amount, st.Fee = sp.Digest, sp.Entries, sp.Amount, sp.Fee
	var taken *time.Time
	if !st.Taken.IsZero() {
		taken = &st.Taken
	}
	err = tx.QueryRow(ctx, `insert into hub.statement (hospital, day, party, source, taken, digest, entries, amount, fee)
		values ($1, $2::text::date, $3, $4, coalesce($5, clock_timestamp()), $6, $7, $8, $9) returning id, taken`,
		st.Hospital, st.Day, string(st.Party), st.Source, taken, st.Digest, st.Entries, int64(st.Amount), int64(st.Fee)).Scan(&st.ID, &st.Taken)
	if err != nil || st.Entries == 0 {
		return st, err
	}
	content, err := sp.read(st.ID)
	if err != nil {
		return st, err
	}
	tag, err := tx.Conn().PgConn().CopyFrom(ctx, content, `copy hub.statement_entry (statement, day, line, type, number, order_id, his_no, channel_no,
		channel, operator, amount, state, at, reversal, bill, fee) from stdin`)
	if err == nil && tag.RowsAffected() != st.Entries {
		err = fmt.Errorf("%d of %d entries were written", tag.RowsAffected(), st.Entries)
	}
	return st, err
}

const statementColumns = `id, hospital, to_char(day, 'YYYY-MM-DD'), party, source, taken, digest, entries, amount, fee`

func scanStatement(row pgx.CollectableRow) (st reconcile.Statement, err error) {
	err = row.Scan(&st.ID, &st.Hospital, &st.Day, &st.Party, &st.Source, &st.Taken, &st.Digest, &st.Entries, &st.Amount, &st.Fee)
	return st, err
}

// Statements implements reconcile.Store.
func (s *Store) Statements(ctx context.Context, hospital, day string) ([]reconcile.Statement, error) {
	rows, err := s.calm.Query(ctx, `select distinct on (party, source) `+statementColumns+` from hub.statement
		where hospital = $1 and day = $2::text::date order by party, source, id desc`, hospital, day)
	var all []reconcile.Statement
	if err == nil {
		all, err = pgx.CollectRows(rows, scanStatement)
	}
	if err != nil {
		return nil, fmt.Errorf("list the books of %s at hospital %s: %w", day, hospital, err)
	}
	return all, nil
}

// StatementEntries implements reconcile.Store. It fails with ErrNotFound when a
// statement, or some of its entries, are not there any more.
func (s *Store) StatementEntries(ctx context.Context, statements ...int64) reconcile.Stream {
	return s.entriesOf(ctx, statements, "")
}

// StatementRefunds implements reconcile.Store.
func (s *Store) StatementRefunds(ctx context.Context, statements ...int64) reconcile.Stream {
	return s.entriesOf(ctx, statements, core.EntryRefund)
}

// entriesOf statements; only those of a type unless that is empty.
func (s *Store) entriesOf(ctx context.Context, statements []int64, only core.EntryType) reconcile.Stream {
	return func(yield func(reconcile.Entry, error) bool) {
		if err := s.statementEntries(ctx, statements, only, yield); err != nil {
			yield(reconcile.Entry{}, fmt.Errorf("read the entries of statements: %w", err))
		}
	}
}

func (s *Store) statementEntries(ctx context.Context, statements []int64, only core.EntryType, yield func(reconcile.Entry, error) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var found, want, got int64
	var days []string
	err := s.calm.QueryRow(ctx, `select count(*), coalesce(sum(entries), 0)::bigint, coalesce(array_agg(distinct day::text), '{}') from hub.statement where id = any($1)`, statements).
		Scan(&found, &want, &days)
	if err != nil {
		return err
	}
	if int(found) != len(statements) {
		return ErrNotFound
	}
	// By day, too: it says which months are looked into.
	rows, err := s.calm.Query(ctx, `select line, type, number, order_id, his_no, channel_no, channel, operator, amount, state, at, reversal, bill, fee
		from hub.statement_entry where statement = any($1) and day = any($2::text[]::date[]) and ($3 = '' or type = $3)`, statements, days, string(only))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var e reconcile.Entry
		var at *time.Time
		err := rows.Scan(&e.Row, &e.Type, &e.Number, &e.OrderID, &e.HisNo, &e.ChannelNo, &e.Channel, &e.Operator, &e.Amount, &e.State, &at, &e.Reversal, &e.Bill, &e.Fee)
		if err != nil {
			return err
		}
		if at != nil {
			e.At = *at
		}
		got++
		if !yield(e, nil) {
			cancel() // rather than reading the rest of them from the wire
			return nil
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if got != want && only == "" {
		return fmt.Errorf("%d of %d entries: %w", got, want, ErrNotFound)
	}
	return nil
}

// spool holds entries as lines of COPY, in a file of its own.
type spool struct {
	reconcile.Statement // Digest, Entries, Amount and Fee
	file                *os.File
	day                 string
}

// spoolOf reads a stream to its end. An error of the stream is returned as it is.
func spoolOf(day string, entries reconcile.Stream) (_ *spool, err error) {
	file, err := os.CreateTemp("", "hishub-statement-*")
	if err != nil {
		return nil, err
	}
	// It has no name any more where the system allows that, so that it is gone with
	// us, however we end.
	_ = os.Remove(file.Name())
	sp := &spool{file: file, day: day}
	defer func() {
		if err != nil {
			sp.close()
		}
	}()
	out := bufio.NewWriterSize(file, 64<<10)
	var sum digestSum
	var fields, line strings.Builder
	for e, err := range entries {
		if err != nil {
			return nil, err
		}
		sp.Entries++
		if e.Type == core.EntryRefund {
			sp.Amount -= e.Amount
		} else {
			sp.Amount += e.Amount
		}
		sp.Fee += e.Fee
		fields.Reset()
		writeFields(&fields, e)
		sum.add(fields.String())
		row := e.Row
		if row == 0 {
			row = sp.Entries
		}
		line.Reset()
		line.WriteString(strconv.FormatInt(row, 10))
		line.WriteString(fields.String())
		line.WriteByte('\n')
		if _, err := out.WriteString(line.String()); err != nil {
			return nil, err
		}
	}
	sp.Digest = sum.hex(sp.Entries)
	return sp, out.Flush()
}

func (sp *spool) close() {
	_ = sp.file.Close()
	_ = os.Remove(sp.file.Name())
}

// read gives the lines, each with the statement that it belongs to in front.
func (sp *spool) read(statement int64) (io.Reader, error) {
	if _, err := sp.file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	front := strconv.FormatInt(statement, 10) + "\t" + sp.day + "\t"
	return &fronted{in: bufio.NewReaderSize(sp.file, 64<<10), front: front, begin: true}, nil
}

// fronted puts the same text before each line.
type fronted struct {
	in    *bufio.Reader
	front string
	begin bool   // of a line
	rest  []byte // that did not fit
	text  []byte
}

func (f *fronted) Read(p []byte) (n int, err error) {
	for len(f.rest) == 0 {
		f.text = f.text[:0]
		if f.begin {
			if _, err := f.in.Peek(1); err != nil {
				return 0, err
			}
			f.text = append(f.text, f.front...)
		}
		part, err := f.in.ReadSlice('\n')
		f.text = append(f.text, part...)
		f.begin = err == nil
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return 0, err // each line ends, so this is no end
		}
		f.rest = f.text
	}
	n = copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

// writeFields writes what an entry says, but for its row, as COPY reads it. Times
// are to the microsecond, as PostgreSQL keeps them.
func writeFields(w *strings.Builder, e reconcile.Entry) {
	text := func(s string) { w.WriteString(copyText.Replace(clean(s))) }
	for _, field := range []string{string(e.Type), e.Number, e.OrderID, e.HisNo, e.ChannelNo, string(e.Channel), e.Operator} {
		w.WriteByte('\t')
		text(field)
	}
	w.WriteByte('\t')
	w.WriteString(strconv.FormatInt(int64(e.Amount), 10))
	w.WriteByte('\t')
	text(string(e.State))
	w.WriteByte('\t')
	if e.At.IsZero() {
		w.WriteString(`\N`)
	} else {
		w.WriteString(e.At.UTC().Format("2006-01-02T15:04:05.000000Z"))
	}
	w.WriteByte('\t')
	w.WriteString(strconv.FormatBool(e.Reversal))
	w.WriteByte('\t')
	text(e.Bill)
	w.WriteByte('\t')
	w.WriteString(strconv.FormatInt(int64(e.Fee), 10))
}

var copyText = strings.NewReplacer(`\`, `\\`, "\t", `\t`, "\n", `\n`, "\r", `\r`)

// digestSum adds the SHA-256 of entries as 256-bit numbers, so that their order
// does not count but how often each is there does.
type digestSum struct {
	words [4]uint64
	hash  hash.Hash
}

func (d *digestSum) add(text string) {
	if d.hash == nil {
		d.hash = sha256.New()
	}
	d.hash.Reset()
	_, _ = io.WriteString(d.hash, text) // a hash takes everything
	sum := d.hash.Sum(nil)
	var carry uint64
	for i := range d.words {
		d.words[i], carry = bits.Add64(d.words[i], binary.LittleEndian.Uint64(sum[i*8:]), carry)
	}
}

func (d *digestSum) hex(entries int64) string {
	var all []byte
	for _, w := range append(d.words[:], uint64(entries)) {
		all = binary.LittleEndian.AppendUint64(all, w)
	}
	sum := sha256.Sum256(all)
	return hex.EncodeToString(sum[:])
}
