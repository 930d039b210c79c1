// Package connectors is the list of all kinds of connectors.
package connectors

import (
	"strings"

	"hishub/connectors/alipay"
	"hishub/connectors/billfile"
	"hishub/connectors/db"
	"hishub/connectors/option"
	"hishub/connectors/rest"
	"hishub/connectors/soap"
	"hishub/connectors/tcp"
	"hishub/connectors/wechatpay"
	"hishub/core"
)

// Kind is one transport.
type Kind struct {
	Name string
	// Open makes a connector of its options, without touching the network. Its
	// error is core.Problems: Field is the path of the option.
	Open func(core.ConnectorSpec) (core.Connector, error)
	// Options are the names that a folder may write, nested ones with a dot.
	Options []string
}

// Kinds is every kind, in the order of the documentation.
var Kinds = []Kind{
	{"soap", soap.Open, []string{
		"endpoint", "wsdl", "port", "version", "namespace", "prefix", "qualified", "action", "header", "unwrap", "mtom", "addressing",
		"security.timestamp", "security.username_token.user", "security.username_token.password", "security.username_token.type",
		"timeout", "max_answer", "concurrency", "charset", "unencodable", "proxy", "tls.ca", "tls.cert", "tls.key", "tls.server_name",
	}},
	{"rest", rest.Open, []string{
		"base", "content_type", "follow", "known_as",
		"timeout", "max_answer", "concurrency", "charset", "unencodable", "proxy", "tls.ca", "tls.cert", "tls.key", "tls.server_name",
	}},
	{"db", db.Open, []string{
		"driver", "dsn", "schema", "nulls", "trim",
		"timeout", "max_answer", "concurrency", "tls.ca", "tls.cert", "tls.key", "tls.server_name",
	}},
	{"tcp", tcp.Open, []string{
		"address", "framing.prefix", "framing.suffix", "framing.end", "framing.end_in_text",
		"framing.length.digits", "framing.length.pad", "framing.length.base", "framing.length.bytes", "framing.length.order",
		"framing.length.counts", "framing.length.includes_itself", "framing.length.plus", "framing.length.at", "keep", "receipt",
		"timeout", "max_answer", "concurrency", "charset", "unencodable", "tls.ca", "tls.cert", "tls.key", "tls.server_name",
	}},
}

// Channels is every kind of account at a payment channel, in the order of the
// documentation. They carry refunds, and implement core.Biller.
var Channels = []Kind{
	{"wechatpay", wechatpay.Open, []string{
		"base", "merchant", "serial", "key", "public_key", "public_key_id", "platform_certificate", "api_v3_key", "sub_merchant", "payments", "app_id",
		"bill_type", "bill_timeout", "max_bill",
		"timeout", "max_answer", "concurrency", "proxy", "tls.ca", "tls.cert", "tls.key", "tls.server_name",
	}},
	{"alipay", alipay.Open, []string{
		"base", "app_id", "key", "public_key", "account", "store", "payments", "ready", "bill_timeout", "max_bill",
		"timeout", "max_answer", "concurrency", "proxy", "tls.ca", "tls.cert", "tls.key", "tls.server_name",
	}},
	{"file", billfile.Open, []string{
		"folder", "name", "ready", "charset", "delimiter", "header",
		"columns.type", "columns.number", "columns.order_id", "columns.channel_no", "columns.his_no", "columns.amount", "columns.fee",
		"columns.at", "columns.date", "columns.bill", "columns.operator",
		"refund_columns.type", "refund_columns.number", "refund_columns.order_id", "refund_columns.channel_no", "refund_columns.his_no",
		"refund_columns.amount", "refund_columns.fee", "refund_columns.at", "refund_columns.date", "refund_columns.bill", "refund_columns.operator",
		"unit", "times", "types", "first", "last", "sums", "count", "days", "max_bill",
	}},
}

// Open makes the connector of that spec, without touching the network. The
// error is core.Problems.
func Open(spec core.ConnectorSpec) (core.Connector, error) { return open(spec, Kinds) }

// OpenChannel makes the connector of an account at a payment channel, without
// touching the network. The error is core.Problems.
func OpenChannel(spec core.ConnectorSpec) (core.Connector, error) { return open(spec, Channels) }

func open(spec core.ConnectorSpec, kinds []Kind) (core.Connector, error) {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		if k.Name == spec.Kind {
			return k.Open(spec)
		}
		names[i] = k.Name
	}
	what := "not one of " + strings.Join(names, ", ")
	if near := option.Near(spec.Kind, names); len(near) > 0 {
		what += "; did you mean " + near[0] + "?"
	}
	return nil, core.Problems{{Field: "kind", What: what}}
}
