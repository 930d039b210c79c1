package connectors

import (
	"strings"

	"hishub/connectors/db"
	"hishub/connectors/rest"
	"hishub/connectors/soap"
	"hishub/connectors/tcp"
	"hishub/core"
)

// ListenerKinds is every kind of listener, in the order of the documentation.
var ListenerKinds = []struct {
	Name   string
	Listen func(core.ListenerSpec) (core.Listening, error)
}{
	{"soap", soap.Listen},
	{"rest", rest.Listen},
	{"tcp", tcp.Listen},
	{"table", db.Listen},
}

// Listen makes a listener of its options. The error is core.Problems.
func Listen(spec core.ListenerSpec) (core.Listening, error) {
	var names []string
	for _, k := range ListenerKinds {
		if k.Name == spec.Kind {
			return k.Listen(spec)
		}
		names = append(names, k.Name)
	}
	return core.Listening{}, core.Problems{{Field: "kind", What: "not one of " + strings.Join(names, ", ")}}
}
