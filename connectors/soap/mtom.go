package soap

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/url"
	"strconv"
	"strings"

	"hishub/core"
)

// xop is how MTOM says that a value stands outside of the envelope (W3C, 2005).
const xop = "http://www.w3.org/2004/08/xop/include"

const maxAttachments = 10_000

// attachments are the binary values of a request that travel beside its envelope.
type attachments struct {
	parts [][]byte
}

// include takes a value out of the envelope and leaves a pointer to it.
func (a *attachments) include(w *writer, text string) error {
	data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return errors.New("is not base64, which the WSDL has here")
	}
	a.parts = append(a.parts, data)
	w.add(`<xop:Include xmlns:xop="`, xop, `" href="cid:`, strconv.Itoa(len(a.parts)), `@hishub"/>`)
	return nil
}

// pack puts the envelope and its attachments into one body.
func (a *attachments) pack(envelope []byte, contentType, boundary string) []byte {
	var b bytes.Buffer
	part := func(id, kind string, data []byte) {
		b.WriteString("--" + boundary + "\r\nContent-Type: " + kind + "\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <" + id + "@hishub>\r\n\r\n")
		b.Write(data)
		b.WriteString("\r\n")
	}
	part("root", contentType, envelope)
	for i, data := range a.parts {
		part(strconv.Itoa(i+1), "application/octet-stream", data)
	}
	b.WriteString("--" + boundary + "--\r\n")
	return b.Bytes()
}

// boundary is one that no part holds; in cases it stands still.
func (s stamp) boundary() string { return "hishub-" + hex.EncodeToString(s.nonce[:]) }

// packedHeaders are the headers of a request with attachments.
func (v version) packedHeaders(charset string, action *string, boundary string) (headers []core.Field, root string) {
	kind := "text/xml"
	if v == soap12 {
		kind = "application/soap+xml"
	}
	whole := `multipart/related; type="application/xop+xml"; boundary="` + boundary + `"; start="<root@hishub>"; start-info="` + kind + `"`
	root = `application/xop+xml; charset=` + charset + `; type="` + kind + `"`
	if v == soap12 && action != nil {
		whole += "; action=" + *action
	}
	headers = []core.Field{{Name: "Content-Type", Value: whole}}
	if v == soap11 && action != nil {
		headers = append(headers, core.Field{Name: "SOAPAction", Value: *action})
	}
	return headers, root
}

// unpack takes an answer of several parts apart: the envelope, and what it points
// at by Content-ID. A recorded body without headers says its boundary itself.
func unpack(contentType string, body []byte) (root []byte, parts map[string][]byte, err error) {
	kind, parameters, err := mime.ParseMediaType(contentType)
	boundary := parameters["boundary"]
	if err != nil && contentType == "" || kind == "" {
		line, _, _ := bytes.Cut(bytes.TrimLeft(body, "\r\n"), []byte("\n"))
		if b, ok := bytes.CutPrefix(line, []byte("--")); ok && len(b) > 0 {
			kind, boundary = "multipart/related", strings.TrimSpace(string(b))
		}
	}
	if !strings.HasPrefix(kind, "multipart/") {
		return body, nil, nil
	}
	if boundary == "" {
		return nil, nil, errors.New("an answer of several parts without a boundary")
	}
	start := strings.Trim(parameters["start"], "<>")
	r := multipart.NewReader(bytes.NewReader(body), boundary)
	parts = map[string][]byte{}
	for n := 0; ; n++ {
		p, err := r.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, nil, fmt.Errorf("an answer of several parts that does not end: %w", err)
		}
		if n == maxAttachments {
			return nil, nil, fmt.Errorf("more than %d parts", maxAttachments)
		}
		data, err := partData(p)
		if err != nil {
			return nil, nil, err
		}
		id := strings.Trim(strings.TrimSpace(p.Header.Get("Content-Id")), "<>")
		if root == nil && (start == "" || id == start) {
			root = data
			continue
		}
		parts[id] = data
	}
	if root == nil {
		return nil, nil, errors.New("an answer of several parts without an envelope")
	}
	return root, parts, nil
}

func partData(p *multipart.Part) ([]byte, error) {
	var from io.Reader = p
	switch strings.ToLower(p.Header.Get("Content-Transfer-Encoding")) {
	case "base64":
		from = base64.NewDecoder(base64.StdEncoding, p)
	case "quoted-printable":
		from = quotedprintable.NewReader(p)
	}
	data, err := io.ReadAll(from)
	if err != nil {
		return nil, fmt.Errorf("a part of the answer cannot be read: %w", err)
	}
	return data, nil
}

// included puts what stands in other parts back, as base64.
func included(v core.Value, parts map[string][]byte) (core.Value, error) {
	switch v := v.(type) {
	case core.List:
		for i := range v {
			var err error
			if v[i], err = included(v[i], parts); err != nil {
				return nil, err
			}
		}
	case core.Tree:
		pointing := v
		var others int
		if inner, ok := v.Get("Include").(core.Tree); ok && v.Has("Include") {
			pointing = inner
			for _, f := range v {
				if f.Name != "Include" && !strings.HasPrefix(f.Name, ".") {
					others++
				}
			}
		} else {
			for _, f := range v {
				if !strings.HasPrefix(f.Name, ".") {
					others++
				}
			}
		}
		if href, ok := reference(pointing, ".href"); ok && others == 0 && strings.HasPrefix(href, "cid:") {
			id, err := url.PathUnescape(href[len("cid:"):])
			if err != nil {
				id = href[len("cid:"):]
			}
			data, known := parts[id]
			if !known {
				return nil, fmt.Errorf("the answer refers to the part %q, which is not in it", bounded(id))
			}
			return orNil(base64.StdEncoding.EncodeToString(data)), nil
		}
		for i := range v {
			var err error
			if v[i].Value, err = included(v[i].Value, parts); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}
