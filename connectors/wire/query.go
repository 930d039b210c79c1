package wire

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"hishub/connectors/charset"
	"hishub/core"
)

// Query writes fields as a URL's query, in their order, percent-encoded from the
// bytes that the HIS's charset has for them. A List repeats the name.
func Query(c *charset.Charset, fields []core.Field) (string, error) {
	var b strings.Builder
	for _, f := range fields {
		values, ok := f.Value.(core.List)
		if !ok {
			values = core.List{f.Value}
		}
		for _, v := range values {
			text, ok := core.Text(v)
			if !ok {
				return "", fmt.Errorf("query %s is not text", f.Name)
			}
			if b.Len() > 0 {
				b.WriteByte('&')
			}
			if err := escape(&b, c, f.Name); err != nil {
				return "", err
			}
			b.WriteByte('=')
			if err := escape(&b, c, text); err != nil {
				return "", fmt.Errorf("query %s: %w", f.Name, err)
			}
		}
	}
	return b.String(), nil
}

// credential matches the names under which addresses carry what nobody must see.
var credential = regexp.MustCompile(`(?i)[?&][^=&]*(pass|pwd|secret|token|key)[^=&]*=[^&]*`)

// Shown is the path and query of an address as cases and people may see them:
// some HIS take user and password in the query.
func Shown(u *url.URL) string {
	return credential.ReplaceAllStringFunc(u.RequestURI(), func(s string) string {
		name, _, _ := strings.Cut(s, "=")
		return name + "=***"
	})
}

func escape(b *strings.Builder, c *charset.Charset, s string) error {
	const hex = "0123456789ABCDEF"
	bytes, err := c.Encode(nil, s)
	if err != nil {
		return err
	}
	for _, x := range bytes {
		switch {
		case 'a' <= x && x <= 'z', 'A' <= x && x <= 'Z', '0' <= x && x <= '9', x == '-', x == '_', x == '.', x == '~':
			b.WriteByte(x)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[x>>4])
			b.WriteByte(hex[x&15])
		}
	}
	return nil
}
