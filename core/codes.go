package core

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// CodeDirection says which way a code table is read.
type CodeDirection string

const (
	// CodeOut looks up our code, to be said to the HIS.
	CodeOut CodeDirection = "out"
	// CodeIn looks up the HIS's code.
	CodeIn CodeDirection = "in"
)

// Values implements Enumeration.
func (CodeDirection) Values() []string { return []string{string(CodeOut), string(CodeIn)} }

// CodeUse is the use of a code that a table of the folder does not have, or has
// only by its default. Codes are not personal,
// and what looks like a person is not kept: see Shown.
type CodeUse struct {
	Table     string
	Direction CodeDirection
	Code      string
	// Text is what the message calls the code, "" where it does not say.
	Text string
	// Defaulted: the table's default stood in for it. Else nothing did.
	Defaulted bool
}

// String is the note of an exchange in which a default was used.
func (u CodeUse) String() string {
	if u.Defaulted {
		return fmt.Sprintf("code table %s: default used for %q", u.Table, u.Code)
	}
	return fmt.Sprintf("code table %s: %q is unmapped", u.Table, u.Code)
}

// UnmappedCode is the error of a code that a table does not have, or not on this day.
type UnmappedCode struct {
	Table     string
	Direction CodeDirection
	Code      string
	Text      string // see CodeUse
	// Day, yyyy-MM-dd, is set where the table has the code, on other days.
	Day string
}

func (e *UnmappedCode) Error() string {
	whose, way, column := "our code", "what we say to the HIS", "ours"
	if e.Direction == CodeIn {
		whose, way, column = "the HIS's code", "what the HIS says to us", "theirs"
	}
	code := strconv.Quote(e.Code)
	if e.Direction == CodeIn && !plainCode.MatchString(e.Code) {
		// Where a code should be, a HIS may send a name. The worklist has it.
		code = fmt.Sprintf("that is a text of %d characters", utf8.RuneCountInString(e.Code))
	}
	if e.Day != "" {
		return fmt.Sprintf("code table %q has %s %s (%s), but no row is valid on %s; add one for that day and apply the folder", e.Table, whose, code, way, e.Day)
	}
	return fmt.Sprintf("code table %q has no row for %s %s (%s); add one with it in column %s and apply the folder", e.Table, whose, code, way, column)
}

// Marks are what the text of an UnmappedCode holds of its table and its code, whichever
// way the table was read: by both of them it is found where only its text was kept.
func Marks(table, code string) (ofTable, ofCode string) {
	return "code table " + strconv.Quote(table) + " has ", " " + strconv.Quote(code)
}

// plainCode is what errors and logs may show of what a HIS sends as a code.
var plainCode = regexp.MustCompile(`^[ -~]{0,32}$`)

// people is what no code is, but a number or name of somebody.
var people = regexp.MustCompile(`[0-9]{11}|\p{Han}.*[0-9]{6}|[0-9]{6}.*\p{Han}`)

// maxCode is the longest that a worklist keeps, in characters.
const maxCode = 40

// Shown is the use as it may be kept: what cannot be a code is not.
func (u CodeUse) Shown() CodeUse {
	if u.Direction == CodeIn && (people.MatchString(u.Code) || utf8.RuneCountInString(u.Code) > maxCode) {
		u.Code, u.Text = string(mask), ""
	}
	return u
}

// Use is the error as an entry of the worklist.
func (e *UnmappedCode) Use() CodeUse {
	return CodeUse{Table: e.Table, Direction: e.Direction, Code: e.Code, Text: e.Text}.Shown()
}

// UnknownCode is the error of a code of ours that the HIS does not have: a row of the
// table says so. It is no gap of the table, so no worklist counts it.
type UnknownCode struct {
	Table string
	Code  string
	Line  int // of the row, from 1
}

func (e *UnknownCode) Error() string {
	return fmt.Sprintf("code table %s: %s is not known to this HIS (line %d)", e.Table, e.Code, e.Line)
}

// MaxCodeUses bounds the uses that are noted of one exchange.
const MaxCodeUses = 20

// AddCodes joins uses, each once and at most MaxCodeUses of them.
func AddCodes(uses []CodeUse, more ...CodeUse) []CodeUse {
	for _, u := range more {
		u = u.Shown()
		if len(uses) < MaxCodeUses && !slices.Contains(uses, u) {
			uses = append(uses, u)
		}
	}
	return uses
}

// CodeTable is a code table of a folder.
type CodeTable interface {
	// Find maps a code as it is mapped at this moment. defaulted: only by the row
	// "*". The error is *UnmappedCode, or *UnknownCode.
	Find(d CodeDirection, code string, at time.Time) (value string, defaulted bool, err error)
	// Near is the table's own code that the code looks like, in another spelling;
	// "" if there is none.
	Near(d CodeDirection, code string) string
}

// CodeState is how a code of the worklist stands in a folder.
type CodeState string

const (
	CodeUnmapped  CodeState = "unmapped"  // no row has it: messages with it fail
	CodeDefaulted CodeState = "defaulted" // only the table's default has it
	CodeMapped    CodeState = "mapped"    // a row has it, or says that the HIS does not have it
	CodeUnused    CodeState = "unused"    // the folder has no such table any more
)

// Values implements Enumeration.
func (CodeState) Values() []string {
	return []string{string(CodeUnmapped), string(CodeDefaulted), string(CodeMapped), string(CodeUnused)}
}

// CodeState tells how a code of the worklist stands in this folder at a moment,
// and which code of the table it looks like, if it is not mapped.
func (d *Dialect) CodeState(u CodeUse, at time.Time) (state CodeState, near string) {
	t := d.Codes[u.Table]
	if t == nil {
		return CodeUnused, ""
	}
	switch _, defaulted, err := t.Find(u.Direction, u.Code, at); {
	case errors.As(err, new(*UnknownCode)):
		return CodeMapped, ""
	case err != nil:
		state = CodeUnmapped
	case defaulted:
		state = CodeDefaulted
	default:
		return CodeMapped, ""
	}
	return state, t.Near(u.Direction, u.Code)
}
