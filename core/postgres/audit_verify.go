package postgres

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/jackc/pgx/v5"
)

// AuditFault is something that nobody may have done to the audit.
type AuditFault struct {
	// Number of the entry; 0 is the chain as a whole.
	Number int64  `json:"number"`
	What   string `json:"what"`
}

// AuditReport is what a check of the whole chain found.
type AuditReport struct {
	Entries int64        `json:"entries"`
	Anchors int          `json:"anchors"`
	Head    AuditHead    `json:"head"`
	Faults  []AuditFault `json:"faults"`
}

// VerifyAudit goes through the whole chain as it stands at one moment. known are
// heads that were kept elsewhere: without one, who owns the database can cut the end
// off and its anchors too.
func (s *Store) VerifyAudit(ctx context.Context, known ...Digest) (r AuditReport, err error) {
	err = pgx.BeginTxFunc(ctx, s.calm, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		c := chain{known: map[Digest]bool{}, anchors: map[int64]Digest{}}
		for _, d := range known {
			c.known[d] = false
		}
		if r.Anchors, err = c.readAnchors(ctx, tx, s.sign); err != nil {
			return err
		}
		if r.Head, err = auditHead(ctx, tx); err != nil {
			return err
		}
		err := s.eachAudit(ctx, tx, math.MinInt64, func(e AuditEntry) error {
			c.next(e)
			r.Entries++
			return nil
		})
		if err != nil {
			return err
		}
		r.Faults = c.end(r.Head)
		return nil
	})
	if err != nil {
		return r, fmt.Errorf("verify the audit: %w", err)
	}
	return r, nil
}

// chain is one check on its way.
type chain struct {
	last    AuditEntry
	unsure  bool         // the last one does not fit its digest, so what follows it cannot be told
	broken  []AuditEntry // that do not fit their own digest
	missing []int64      // as far as moved ones may have stood there
	anchors map[int64]Digest
	known   map[Digest]bool
	faults  []AuditFault
}

func (c *chain) fault(number int64, format string, args ...any) {
	c.faults = append(c.faults, AuditFault{number, fmt.Sprintf(format, args...)})
}

func (c *chain) readAnchors(ctx context.Context, tx pgx.Tx, sign func(AuditHead) []byte) (n int, err error) {
	rows, err := tx.Query(ctx, `select number, digest, signature from hub.audit_anchor order by number`)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var h AuditHead
		var digest, signature []byte
		if err := rows.Scan(&h.Number, &digest, &signature); err != nil {
			return 0, err
		}
		copy(h.Digest[:], digest)
		if !bytes.Equal(signature, sign(h)) {
			c.fault(h.Number, "the anchor of this entry is not signed by this hub")
			continue
		}
		c.anchors[h.Number] = h.Digest
		n++
	}
	return n, rows.Err()
}

func (c *chain) next(e AuditEntry) {
	before, unsure := c.last, c.unsure
	c.last, c.unsure = e, e.as(e.Number) != e.Digest
	if _, asked := c.known[e.Digest]; asked {
		c.known[e.Digest] = true
	}
	if d, anchored := c.anchors[e.Number]; anchored {
		if d != e.Digest {
			c.fault(e.Number, "another digest than its anchor's: the chain was rewritten up to here")
		}
		delete(c.anchors, e.Number)
	}
	gap := e.Number != before.Number+1
	if gap {
		c.gone(before.Number+1, e.Number-1)
	}
	switch {
	case c.unsure && len(c.broken) == maxMoves:
		c.fault(e.Number, "altered or moved: it does not fit its digest")
	case c.unsure:
		c.broken = append(c.broken, e)
	case !gap && !unsure && e.Previous != before.Digest:
		c.fault(e.Number, "does not follow entry %d: that one was rewritten with its digest, or the one between them was taken out or this one put in", before.Number)
	}
}

// gone notes missing entries.
func (c *chain) gone(from, to int64) {
	if from == to {
		c.fault(from, "missing: it was deleted or moved")
	} else {
		c.fault(from, "missing up to %d: they were deleted or moved", to)
	}
	for n := from; n <= to && len(c.missing) < maxMoves; n++ {
		c.missing = append(c.missing, n)
	}
}

// maxMoves bounds the search for where a moved entry stood.
const maxMoves = 1000

// end names what broke, and looks at what is behind the last entry.
func (c *chain) end(head AuditHead) []AuditFault {
	switch last := c.last; {
	case head.Number > last.Number:
		c.gone(last.Number+1, head.Number)
	case head.Number < last.Number:
		c.fault(head.Number+1, "put in past the chain's end, which is %d", head.Number)
	case head.Digest != last.Digest:
		c.fault(last.Number, "another digest than the chain's head")
	}
	c.name()
	for number := range c.anchors {
		c.fault(number, "an anchor was signed for this entry, and it is missing")
	}
	for digest, found := range c.known {
		if !found {
			c.fault(0, "the head %s is not in the chain: the end was cut off, or all of it rewritten", digest)
		}
	}
	slices.SortStableFunc(c.faults, func(a, b AuditFault) int { return cmp.Compare(a.Number, b.Number) })
	return c.faults
}

// name tells moved entries from altered ones: a moved one fits its digest under
// another number.
func (c *chain) name() {
	moved, broken := map[int64]int64{}, map[int64]bool{}
	places := slices.Clone(c.missing)
	for _, e := range c.broken {
		broken[e.Number] = true
		places = append(places, e.Number, e.Number-1) // an entry before it may have been put in
	}
	for _, e := range c.broken {
		i := slices.IndexFunc(places, func(n int64) bool { return e.as(n) == e.Digest })
		if i < 0 {
			c.fault(e.Number, "altered: it does not fit its digest")
			continue
		}
		moved[places[i]] = e.Number
		c.fault(e.Number, "moved: it was entry %d", places[i])
	}
	for was, now := range moved {
		if !broken[was] && !slices.Contains(c.missing, was) {
			c.fault(was, "put in: what was entry %d is entry %d now", was, now)
		}
	}
}
