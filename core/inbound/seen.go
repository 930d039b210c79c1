package inbound

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"hishub/core"
)

// digest stands for a row's exact bytes.
type digest [sha256.Size]byte

// seen is what a watch knows of a row, as long as every look finds it unchanged. A
// row that the HIS changes is another row.
type seen struct {
	// row names it in the log: a beginning of its digest.
	row  string
	kind core.Kind
	// kept is the result with which its exchange was kept last.
	kept core.ResultState
	// marked are the looks at which it was marked; missed: the last mark touched no row.
	marked int
	missed bool
	// ended: it ended a look, because the database was away or did not like the row.
	ended bool
	// told: the log has it that it cannot be marked.
	told bool
	// until then it is left alone.
	until time.Time
}

// oftenEnough is how many looks mark the same row. The second one is for a mark that
// was lost; after that it is the statement that misses the row.
const oftenEnough = 2

// leftFor is how long a row that was not understood, or that no mark reaches, is left
// alone. Then a new revision may know better.
const leftFor = 10 * time.Minute

func (w *watch) known(d digest) *seen {
	if w.rows == nil {
		w.rows = map[digest]*seen{}
	}
	if w.rows[d] == nil {
		w.rows[d] = &seen{row: hex.EncodeToString(d[:6])}
	}
	return w.rows[d]
}

// forget drops what is known of rows that are not there any more.
func (w *watch) forget(here map[digest]bool) {
	for d := range w.rows {
		if !here[d] {
			delete(w.rows, d)
		}
	}
}

func (s *seen) leave()          { s.until = time.Now().Add(leftFor) }
func (s *seen) leftAlone() bool { return time.Now().Before(s.until) }

// repeats reports that the row was answered so before: the exchange is kept already.
func (s *seen) repeats(result core.ResultState) bool {
	same := s.kept == result
	s.kept = result
	return same
}

// isUnmarked finds a row that was marked often enough and is here unchanged. After it
// was left alone for a while it is marked once more: the folder may have been mended.
func (w *watch) isUnmarked(c *call, s *seen) bool {
	if s.marked < oftenEnough {
		return false
	}
	s.marked = oftenEnough - 1
	why := "a row that was marked is here again: does done name it?"
	if s.missed {
		why = "done touched no row"
	}
	w.unmarked(c, s, why, nil)
	return true
}

// unmarked leaves a row alone that no mark reaches, and says so once. It holds no
// values of the row.
func (w *watch) unmarked(c *call, s *seen, why string, err error) {
	s.leave()
	if w.server.Served != nil {
		w.server.Served(c.hospital.ID(), s.kind, "unmarked")
	}
	if s.told {
		return
	}
	s.told = true
	about := []any{"hospital", w.Hospital, "listener", w.Listener, "kind", s.kind, "row", s.row}
	if err != nil {
		about = append(about, "error", err)
	}
	w.server.Log.Error(why, about...)
}
