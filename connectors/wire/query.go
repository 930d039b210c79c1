package wire

import (
	"fmt"
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
