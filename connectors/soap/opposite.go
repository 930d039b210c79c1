package soap

import (
	"fmt"
	"io/fs"

	"hishub/core"
)

// opposite is the HIS's end of a connector: it reads the envelopes that the
// connector writes, of either version, and words answers that it reads.
type opposite struct{ *listener }

// Opposite makes the other end of the connector that the options describe, to play
// its HIS. Errors are those of Open.
func Opposite(spec core.ConnectorSpec) (core.Wire, error) {
	opened, err := Open(spec)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	c, ok := opened.(*Connector)
	if d, is := opened.(described); is {
		c, ok = d.Connector, true
	}
	if !ok {
		return nil, fmt.Errorf("open the other end of the connector %s: it is none of SOAP", spec.Name)
	}
	l := &listener{charset: c.way.Charset, namespace: c.style.namespace, result: "return", contract: c.contract}
	if file, _ := spec.Options["wsdl"].(string); file != "" {
		l.wsdl, _ = fs.ReadFile(spec.Files, file)
	}
	return opposite{l}, nil
}

// Read implements core.Wire. What travels beside the envelope (MTOM) is put into it.
func (o opposite) Read(q core.Incoming) (core.Arrival, error) {
	contentType, _ := core.Text(q.Headers.Get("content-type"))
	root, parts, err := unpack(contentType, q.Body)
	if err != nil {
		return core.Arrival{}, fmt.Errorf("read a request: %w", err)
	}
	q.Body = root
	a, err := o.listener.Read(q)
	if err == nil && len(parts) > 0 {
		a.Body, err = included(a.Body, parts)
	}
	return a, err
}

// Write implements core.Wire. An operation that is told, not asked, has no answer.
func (o opposite) Write(a core.Arrival, r core.Reply) (core.Outgoing, error) {
	if o.contract != nil {
		if called, err := o.contract.find(a.Call); err == nil && called.output == nil {
			return core.Outgoing{Status: 202}, nil
		}
	}
	return o.listener.Write(a, r)
}

// Description implements core.Wire: the hospital's own WSDL, if there is one.
func (o opposite) Description(at string) []byte {
	if o.wsdl == nil {
		return nil
	}
	return o.listener.Description(at)
}
