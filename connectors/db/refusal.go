package db

import (
	"fmt"

	"hishub/core"
)

// meaning is what it means that a database refused a statement.
type meaning int

const (
	// doubtful: it does not say that nothing happened.
	doubtful meaning = iota
	// duplicate: a unique key is taken.
	duplicate
	// unmatched: a statement of a transaction found or touched another number of
	// rows than it must.
	unmatched
	// raised: the HIS's own code said no, in its own words.
	raised
	// unfit: our statement or its values do not fit.
	unfit
	// later: nothing is wrong with it, but not now (deadlock, overload, shutdown).
	later
	// severed: the connection ends with it; what had been sent may have happened.
	severed
)

// refusal is a database's error in the terms above. Its Error holds no value
// of the statement; words, which may, go into the answer only.
type refusal struct {
	meaning meaning
	// unstarted: nothing of a procedure ran.
	unstarted bool
	code      string // SQLSTATE or the vendor's number
	words     string
	// public is the part of the words that names only tables, columns and the like.
	public string
}

func (r *refusal) Error() string {
	if r.public == "" {
		return "the database refused it with " + r.code
	}
	return fmt.Sprintf("the database refused it with %s: %s", r.code, r.public)
}

// answer makes a response of a refusal that rules can judge; ok is false for others.
func (r *refusal) answer() (a core.Response, ok bool) {
	switch r.meaning {
	case duplicate:
		a.Error = "duplicate"
	case unmatched:
		a.Error = "unmatched"
	case raised:
		a.Error = "fault"
	default:
		return a, false
	}
	a.Body = core.Tree{{Name: "code", Value: r.code}, {Name: "message", Value: r.words}}
	a.Received = marshal(append(core.Tree{{Name: "error", Value: a.Error}}, a.Body.(core.Tree)...))
	return a, true
}
