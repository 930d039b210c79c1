package main

import (
	"bytes"
	"net/http"
	"strings"
	"time"

	"hishub/core"
)

// heard are the last times that answers of a HIS told by the way, in the head of
// HTTP or of an HL7 message: each how far off our own.
type heard struct {
	offs [3]time.Duration
	n    int
	at   time.Time
}

const (
	// heardEvery is the least time between two that count.
	heardEvery = 20 * time.Second
	// heardWithin is how fast an answer must be to tell the time.
	heardWithin = 10 * time.Second
	// heardLasts is how long what was heard says something.
	heardLasts = time.Hour
)

// hear takes the time of an answer, if it tells one and it is time for another.
// Folders that ask for the time itself are believed before it.
func (c *clocks) hear(x core.Exchange, zone func() *time.Location) {
	took := x.Answered.Sub(x.Called)
	hl7 := bytes.HasPrefix(bytes.TrimPrefix(x.Received, []byte{0x0b}), []byte("MSH"))
	if x.Called.IsZero() || took < 0 || took > heardWithin || x.Date == "" && !hl7 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	one := c.heard[x.Hospital]
	if x.Answered.Sub(one.at).Abs() < heardEvery {
		return
	}
	told, ok := time.Time{}, false
	if x.Date != "" {
		t, err := http.ParseTime(x.Date)
		told, ok = t, err == nil
	} else if where := zone(); where != nil {
		told, ok = messageTime(x.Received, where)
	}
	if !ok {
		return
	}
	// It was told some time between the question and the answer, in whole seconds:
	// what that leaves open is no offset.
	open := took/2 + 500*time.Millisecond
	off := told.Add(500 * time.Millisecond).Sub(x.Called.Add(took/2 + c.ahead))
	switch {
	case off > open:
		off -= open
	case off < -open:
		off += open
	default:
		off = 0
	}
	one.offs[one.n%len(one.offs)], one.n, one.at = off, one.n+1, x.Answered
	if c.heard == nil {
		c.heard = map[string]heard{}
	}
	c.heard[x.Hospital] = one
}

// off is the least that the last three agree on: a single machine of many that is off,
// and a single answer from a cache, tell nothing of the HIS.
func (h heard) off(now time.Time) (off time.Duration, known bool) {
	if h.n < len(h.offs) || now.Sub(h.at) > heardLasts {
		return 0, false
	}
	off = h.offs[0]
	for _, o := range h.offs[1:] {
		if o.Abs() < off.Abs() {
			off = o
		}
	}
	return off, true
}

// messageTime is MSH-7 of an HL7 v2 message, to the second at least: YYYYMMDDHHMMSS,
// perhaps with a fraction and an offset; without one it is the hospital's own time.
func messageTime(message []byte, zone *time.Location) (time.Time, bool) {
	message = bytes.TrimPrefix(message, []byte{0x0b})
	if len(message) < 4 {
		return time.Time{}, false
	}
	line, _, _ := bytes.Cut(message[:min(len(message), 2000)], []byte{'\r'})
	fields := strings.Split(string(line), string(line[3:4]))
	if len(fields) < 7 || len(fields[6]) < 14 {
		return time.Time{}, false
	}
	for _, layout := range []string{"20060102150405-0700", "20060102150405.999999-0700", "20060102150405", "20060102150405.999999"} {
		if t, err := time.ParseInLocation(layout, fields[6], zone); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
