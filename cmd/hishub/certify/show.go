package certify

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"unicode/utf8"

	"hishub/connectors/charset"
	"hishub/core"
	"hishub/core/api"
)

// most of an exchange's bytes that a report prints.
const most = 6000

// shown is what people see of the bytes of a connector: in its charset, with the
// patient masked. Secrets were masked by core.Hospital.
func (r *run) shown(connector string, b []byte, about core.Body) string {
	if len(b) == 0 {
		return ""
	}
	text, ok := string(b), utf8.Valid(b)
	if !ok {
		name, _ := r.hospital.Connectors[connector].Options["charset"].(string)
		if name == "" {
			name = "GB18030"
		}
		if c, err := charset.New(name, "refuse"); err == nil {
			if decoded, err := c.Decode(b); err == nil {
				text, ok = decoded, true
			}
		}
	}
	if !ok {
		return fmt.Sprintf("[%d bytes that are no text]", len(b))
	}
	text = maskText(printable(text), about)
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + fmt.Sprintf("… [%d]", len(runes))
	}
	return text
}

func maskText(s string, about core.Body) string { return api.MaskText(s, about) }

// printable shows control characters, as of a framing, by their names.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\n' || c == '\t':
			return c
		case c == '\r':
			return -1
		case c < ' ':
			return 0x2400 + c // the pictures of control characters
		}
		return c
	}, s)
}

// hostOf is the host that an option leads to: "endpoint" and "base" are addresses
// of the web, "address" is host:port, "dsn" is a database's.
func hostOf(option, value string) string {
	if option == "address" {
		host, _, _ := net.SplitHostPort(value)
		return host
	}
	if u, err := url.Parse(value); err == nil && u.Host != "" {
		return u.Hostname()
	}
	// user:password@tcp(host:3306)/database, and key=value pairs
	if _, rest, ok := strings.Cut(value, "("); ok {
		inside, _, _ := strings.Cut(rest, ")")
		if host, _, err := net.SplitHostPort(inside); err == nil {
			return host
		}
		return inside
	}
	for _, pair := range strings.Fields(value) {
		if host, ok := strings.CutPrefix(pair, "host="); ok {
			return host
		}
	}
	return ""
}
