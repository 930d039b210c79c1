package rest

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"mime"
	"strings"

	"hishub/connectors/charset"
	"hishub/connectors/wire"
	"hishub/core"
)

const (
	formType      = "application/x-www-form-urlencoded"
	multipartType = "multipart/form-data"
)

// write gives the bytes of a body and its content type. Text stands as it is; a
// document becomes the fields of a form where the content type is one of a form.
func write(c *charset.Charset, body core.Value, contentType string) ([]byte, string, error) {
	if t, ok := body.(core.Tree); ok {
		kind, _, err := mime.ParseMediaType(contentType)
		switch {
		case err == nil && kind == formType:
			text, err := wire.Query(c, t)
			return []byte(text), contentType, err
		case err == nil && kind == multipartType:
			return writeMultipart(c, t)
		}
	}
	text, ok := core.Text(body)
	if _, tree := body.(core.Tree); !ok || tree {
		return nil, "", errors.New("REST carries text, not a document; write send: {$json: ...}, or another format, or a form's content_type")
	}
	b, err := c.Encode(nil, text)
	return b, contentType, err
}

// part is one field of a multipart form.
type part struct {
	name, filename, contentType string
	content                     []byte
}

// writeMultipart writes fields in their order. One with a .filename is a file.
func writeMultipart(c *charset.Charset, t core.Tree) ([]byte, string, error) {
	var parts []part
	sum := sha256.New()
	for _, f := range t {
		values, ok := f.Value.(core.List)
		if !ok {
			values = core.List{f.Value}
		}
		for _, v := range values {
			p, err := readPart(c, f.Name, v)
			if err != nil {
				return nil, "", fmt.Errorf("field %s %w", f.Name, err)
			}
			fmt.Fprintf(sum, "%q%q", p.name, p.content)
			parts = append(parts, p)
		}
	}
	// Made of the content, so that a case has the same one every time, and no
	// content has its own.
	boundary := "hishub" + hex.EncodeToString(sum.Sum(nil)[:12])
	var b bytes.Buffer
	for _, p := range parts {
		b.WriteString("--" + boundary + "\r\nContent-Disposition: form-data; name=\"")
		if err := quoted(&b, c, p.name); err != nil {
			return nil, "", err
		}
		b.WriteByte('"')
		if p.filename != "" {
			b.WriteString("; filename=\"")
			if err := quoted(&b, c, p.filename); err != nil {
				return nil, "", err
			}
			b.WriteByte('"')
		}
		if p.contentType != "" {
			b.WriteString("\r\nContent-Type: " + p.contentType)
		}
		b.WriteString("\r\n\r\n")
		b.Write(p.content)
		b.WriteString("\r\n")
	}
	b.WriteString("--" + boundary + "--\r\n")
	return b.Bytes(), multipartType + "; boundary=" + boundary, nil
}

func readPart(c *charset.Charset, name string, v core.Value) (p part, err error) {
	p.name = name
	text, ok := core.Text(v)
	if !ok {
		return p, errors.New("is a document, not a text; encode it with $xml or $json")
	}
	encoding := ""
	t, _ := v.(core.Tree)
	for _, f := range t {
		value, _ := core.Text(f.Value)
		switch f.Name {
		case core.TextName:
		case ".filename":
			p.filename = value
		case ".type":
			p.contentType = value
		case ".encoding":
			encoding = value
		default:
			return p, fmt.Errorf("has %s; there are .filename, .type, .encoding and $text", f.Name)
		}
	}
	if p.filename != "" && p.contentType == "" {
		p.contentType = "application/octet-stream"
	}
	if err := wire.CheckField("Content-Type", p.contentType); err != nil {
		return p, errors.New("has a .type that cannot be sent")
	}
	switch encoding {
	case "":
		p.content, err = c.Encode(nil, text)
	case "base64":
		if p.content, err = base64.StdEncoding.DecodeString(text); err != nil {
			err = errors.New("is not base64")
		}
	default:
		err = errors.New("has an .encoding that is not base64")
	}
	return p, err
}

// quoted writes a name as HTML forms do (WHATWG, multipart/form-data).
func quoted(b *bytes.Buffer, c *charset.Charset, s string) error {
	bytes, err := c.Encode(nil, strings.NewReplacer("\r", "%0D", "\n", "%0A", `"`, "%22").Replace(s))
	b.Write(bytes)
	return err
}
