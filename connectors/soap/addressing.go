package soap

import (
	"encoding/hex"
	"strings"

	"hishub/connectors/option"
)

// The namespaces of WS-Addressing, and those in which a WSDL names actions.
const (
	wsa2005 = "http://www.w3.org/2005/08/addressing"
	wsa2004 = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
)

var actionNames = []qname{
	{"http://www.w3.org/2007/05/addressing/metadata", "Action"},
	{"http://www.w3.org/2006/05/addressing/wsdl", "Action"},
	{wsa2005, "Action"}, {wsa2004, "Action"},
}

// addressing is the header of WS-Addressing that every envelope has; nil leaves
// it to the WSDL.
type addressing struct {
	namespace string // "" is none, whatever the WSDL says
	to        string // "" is the endpoint
	anonymous string
}

func readAddressing(s *option.Set) *addressing {
	switch v := s.Value("addressing").(type) {
	case nil:
		return nil
	case map[string]any:
		m := s.Map("addressing")
		a := newAddressing(m.OneOf("version", "2005", "2004"))
		a.to = m.Text("to", "")
		if forbidden(a.to) {
			m.Problem("to", "holds a control character, which XML cannot carry")
		}
		return a
	case bool:
		if !v {
			return &addressing{}
		}
		return newAddressing("2005")
	}
	return newAddressing(s.OneOf("addressing", "2005", "2004"))
}

func newAddressing(version string) *addressing {
	if version == "2004" {
		return &addressing{namespace: wsa2004, anonymous: wsa2004 + "/role/anonymous"}
	}
	return &addressing{namespace: wsa2005, anonymous: wsa2005 + "/anonymous"}
}

// write gives the blocks; to is the address of the HIS as it may be shown.
func (a *addressing) write(o *operation, to string, at stamp) string {
	if a.to != "" {
		to = a.to
	}
	w := writer{}
	block := func(name, text string) {
		w.add("<wsa:", name, ` xmlns:wsa="`, a.namespace, `">`)
		w.escape(text, false)
		w.add("</wsa:", name, ">")
	}
	action := o.addressed
	if action == "" {
		action = o.action
	}
	block("Action", action)
	block("MessageID", "urn:uuid:"+at.uuid())
	w.add(`<wsa:ReplyTo xmlns:wsa="`, a.namespace, `"><wsa:Address>`, a.anonymous, `</wsa:Address></wsa:ReplyTo>`)
	block("To", to)
	return string(w.b)
}

// uuid is a random one (RFC 9562, version 4).
func (s stamp) uuid() string {
	b := s.nonce
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

// addressed is the action that a WSDL gives an operation's input: its own word,
// the soapAction, or the one that WS-Addressing makes of the names (WSDL binding,
// 4.4.4).
func (d *definitions) addressed(port, in, portType *node, o *operation) string {
	for _, name := range actionNames {
		if a, ok := in.others[name]; ok {
			return a
		}
	}
	if o.action != "" {
		return o.action
	}
	name := in.attrs["name"]
	if name == "" {
		name = port.attrs["name"]
		if !o.oneWay {
			name += "Request"
		}
	}
	target, delimiter := d.target(portType), "/"
	if strings.HasPrefix(target, "urn:") {
		delimiter = ":"
	}
	return strings.TrimSuffix(target, delimiter) + delimiter + portType.attrs["name"] + delimiter + name
}
