package core

import (
	"bufio"
	"crypto/tls"
	"io/fs"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Listener is an entrance through which a HIS calls us: at /his/<hospital>/<name>,
// at a port of its own, or by rows that it leaves in a table.
type Listener struct {
	Name string
	Kind string // soap, rest, tcp, table
	Listening
	// Kinds are what can be told or asked here, in the order of the catalogue.
	Kinds []Kind
	// Signed: the dialect refuses what it cannot verify.
	Signed bool
	Door   Door
}

// OverHTTP reports whether it is one of the addresses below /his/.
func (l *Listener) OverHTTP() bool {
	if l == nil || l.Wire == nil || l.Address != "" {
		return false
	}
	_, fetched := l.Wire.(Table)
	return !fetched
}

// Pushes reports whether the HIS can tell us of that kind by itself.
func (d *Dialect) Pushes(kind Kind) bool {
	for _, l := range d.Listeners {
		if slices.Contains(l.Kinds, kind) {
			return true
		}
	}
	return false
}

// Listening is what a transport makes of a listener's options.
type Listening struct {
	Wire Wire
	// Address is where a Stream listens, "10.1.2.3:6661"; the others share that of
	// the hub. TLS may be nil.
	Address string
	TLS     *tls.Config
	// Using is the connector over which a Table is looked at, Every how often.
	Using string
	Every time.Duration
	// Timeout is how long the HIS waits for its answer.
	Timeout time.Duration
	// Allow are the addresses that may call; nil: any. Client is the common name
	// that the caller's certificate must have; "": none is asked for.
	Allow  []netip.Prefix
	Client string
	// Concurrency and Rate (per second) bound what is served of this listener at
	// once; MaxRequest bounds one request's body, in bytes.
	Concurrency int
	Rate        float64
	MaxRequest  int64
	// Doubts are options that a person should look at; the listener works all the same.
	Doubts Problems
}

// ListenerSpec is a listener as the folder describes it.
type ListenerSpec struct {
	Name string
	Kind string
	// Options as written in the folder, after ${ENV} was put in.
	Options map[string]any
	// Files is the hospital folder.
	Files fs.FS
	// Calls are the dialect's names of the operations behind it.
	Calls []string
	// Using is the connector that the option using names; nil if there is none.
	Using *ConnectorSpec
}

// Wire turns the bytes of a transport into what a dialect reads, and back. It is
// pure and serves any number of goroutines.
type Wire interface {
	// Read opens a request. The error holds no values; what comes with it is what
	// of the request can be read, for an answer that the dialect may have.
	Read(q Incoming) (Arrival, error)
	// Write makes the answer to what Read gave.
	Write(a Arrival, r Reply) (Outgoing, error)
	// Refuse answers what the dialect cannot: status is HTTP's, words are ours.
	Refuse(status int, words string) Outgoing
	// Description is what is published of the listener (a WSDL), nil if nothing is.
	Description(address string) []byte
}

// Stream is a Wire whose requests come one after the other over connections to
// an address of its own. A refusal without a body ends the connection.
type Stream interface {
	Wire
	// Next reads the next request as Read takes it, of at most so many bytes and the
	// frame around them. The error is io.EOF when none was begun; after any other
	// the connection is of no use. It holds no values.
	Next(r *bufio.Reader, most int64) ([]byte, error)
}

// Table is a Wire whose requests are rows that the HIS leaves for us. What is read
// of one row is its columns as JSON; what is written is the statement that marks it.
type Table interface {
	Wire
	// Take asks for the rows that nobody has answered yet.
	Take() Request
	// Rows are the rows of the answer to that, each as Read takes it, in their order;
	// err is why there is no answer.
	Rows(r Response, err error) ([]Incoming, error)
	// Mark is the statement that answers a row. The error holds no values.
	Mark(r Reply) (Request, error)
	// Touched is how many rows that statement touched, if the answer to it tells.
	Touched(r Response) (rows int64, counted bool)
}

// Incoming is a request as it came, Path being what follows the listener's own,
// "/" at least.
type Incoming struct {
	Method  string
	Path    string
	Query   Tree
	Headers Tree // lower-case names
	Body    []byte
}

// Outgoing is the answer as it goes.
type Outgoing struct {
	Status  int
	Headers []Field
	Body    []byte
}

// Arrival is a request, decoded from the listener's charset.
type Arrival struct {
	// Call is the wire's own name for what is asked: a SOAP method, "POST /path".
	Call    string
	Body    Value // text, or parameters (Tree)
	Query   Tree
	Headers Tree
}

// Reply is what the dialect answers with.
type Reply struct {
	// Status is HTTP's, of a listener of kind rest; 0 is 200.
	Status  int
	Headers []Field
	Body    Value // text, or parameters (Tree)
	// Codes are those for which the default of a code table stood in. Not sent.
	Codes []CodeUse
}

// Door is a dialect the other way round: it opens what the HIS says and words
// our answer. It is pure.
type Door interface {
	// Open never fails: what it cannot make a valid message of has no Body.
	Open(a Arrival, s Stamp) Opened
	// Reply words a resolution. It fails only when the dialect cannot say it, as most
	// cannot for an Opened without Kind; the error holds no values.
	Reply(o Opened, r Resolution, s Stamp) (Reply, error)
}

// Opened is what the HIS said.
type Opened struct {
	Arrival
	// Kind is empty when not even that could be recognised.
	Kind Kind
	// Body is valid; nil when the request is forged, malformed or incomplete, and
	// Err says which, without values.
	Body Body
	Err  error
	// Codes are those for which the default of a code table stood in.
	Codes []CodeUse
	// Before: it holds with the values that the folder's secrets had before they
	// changed, and the reply is written with them too.
	Before bool
}

// ResultState is what became of something that a HIS told or asked us.
type ResultState string

const (
	ResultDone    ResultState = "done"
	ResultRefused ResultState = "refused"
	// ResultUnknown: not decided yet. The HIS says it again and gets the answer then.
	ResultUnknown ResultState = "unknown"
	// ResultInvalid: forged or malformed; nothing happened and nothing is kept.
	ResultInvalid ResultState = "invalid"
)

// Values of ResultState.
func (ResultState) Values() []string { return []string{"done", "refused", "unknown", "invalid"} }

// Resolution is our answer to a HIS; a folder sees it as result.
type Resolution struct {
	State ResultState
	// Message is for the people there, in their language.
	Message string
	// Answer is of the type in the Catalogue; nil when there is none.
	Answer any
}

// Flatten makes a tree of headers or of a query, sorted by name; a name that
// came more than once has a List.
func Flatten(values map[string][]string) Tree {
	t := make(Tree, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		f := Field{Name: name}
		if list := values[name]; len(list) == 1 {
			f.Value = list[0]
		} else {
			all := make(List, len(list))
			for i, v := range list {
				all[i] = v
			}
			f.Value = all
		}
		t = append(t, f)
	}
	return t
}
