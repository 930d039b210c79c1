package core

import "context"

// Connector carries requests to one entrance of one HIS. It serialises a
// document by the transport's own description (a WSDL, a table) and classifies
// failures by the one thing only it knows: whether bytes left.
//
// An implementation must not map, queue, retry, log, or keep state that one
// call leaves for the next. It must be safe for parallel calls. The deadline
// is the context's; a cancelled call returns within 100 ms.
type Connector interface {
	// Call carries one request and returns what came back. The error, if any, is
	// a *Fault: Unavailable when no byte of the request left, InDoubt when bytes
	// left and no whole, readable answer came back (also for an answer over the
	// bound), Invalid when the request cannot be expressed on this transport.
	// An answer that says no, a SOAP fault or HTTP 500 among them, is no error:
	// the dialect's outcome rules judge it. The Response is meaningful beside an
	// error too: Sent holds the bytes that were to be written, Received what came.
	Call(ctx context.Context, q Request) (Response, error)
	// Close releases connections. Calling it again is harmless.
	Close() error
}

// Describer is implemented by connectors that know their operations from a
// description, so that a hospital folder can be checked against it.
type Describer interface {
	// Describe gives the shape of an operation; the error says that there is none
	// and which names come near.
	Describe(operation string) (Shape, error)
}

// Offline is implemented by connectors that can show what they would send and
// can read a recorded answer, without any server: cases and `hospital try` use it.
type Offline interface {
	// Write gives exactly what Call would put on the wire. Over HTTP that is the
	// request line, the headers that the request decides (sorted), a blank line
	// and the body; over a database one statement a line with its parameters.
	Write(q Request) ([]byte, error)
	// Read gives what Call would have returned for this recorded answer: a body,
	// or a whole HTTP answer starting with "HTTP/"; for a database JSON rows.
	Read(q Request, answer []byte) (Response, error)
}

// Request is what the dialect wants said.
type Request struct {
	// Operation is the dialect's own name for it: a SOAP operation, "POST /path",
	// a procedure "NAME(in a, out b)", a statement with :names, or "insert".
	Operation string
	// Headers and Query are for REST and SOAP; other transports refuse them.
	Headers []Field
	Query   []Field
	// Body is text (string), or a Tree or List that the connector serialises by
	// its own description.
	Body Value
	// Codes are those for which the default of a code table stood in. Not sent.
	Codes []CodeUse
}

// Response is what came back, decoded from the connector's charset.
type Response struct {
	// Body is text, parameters (Tree) or rows (List of Tree).
	Body Value
	// Status is the HTTP status as text, "" elsewhere.
	Status string
	// Headers of an HTTP answer, lower-case names.
	Headers Tree
	// Error is "" or the transport's own word for a refusal that rules can judge:
	// "fault" (SOAP), "duplicate" (a unique key of the database), "unmatched" (it
	// has not the rows that the transaction needs).
	Error string
	// Sent and Received are the exact bytes of both bodies, for the exchange log.
	Sent, Received []byte
}

// Shape describes an operation: the names of its parameters in wire order.
type Shape struct {
	Operation  string
	Parameters []Parameter
	Results    []Parameter
}

// Parameter is one named part of a Shape. Children are set for complex types.
type Parameter struct {
	Name     string
	Type     string
	Required bool
	List     bool
	// Unknown says what of the description nothing can be written in, and where it
	// stands; "" is a parameter that can be given.
	Unknown  string
	Children []Parameter
}
