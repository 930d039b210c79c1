package postbox

import (
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
)

// Shown is a letter as its reader sees it.
type Shown struct {
	From    string   `json:"from"`
	To      []string `json:"to"`
	Private bool     `json:"private"` // over TLS
	Subject string   `json:"subject"`
	// Text is its first part of plain text, "" if it has none.
	Text string `json:"text"`
	// Files are the names of what is attached.
	Files []string `json:"files,omitempty"`
}

// mostNested bounds parts within parts.
const mostNested = 8

// Read opens the letter.
func (l Letter) Read() (s Shown, err error) {
	s = Shown{From: l.From, To: l.To, Private: l.Private}
	m, err := mail.ReadMessage(strings.NewReader(l.Text))
	if err != nil {
		return s, fmt.Errorf("read a letter: %w", err)
	}
	if s.Subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		return s, fmt.Errorf("read a letter's subject: %w", err)
	}
	if err := s.part(m.Header.Get, m.Body, mostNested); err != nil {
		return s, fmt.Errorf("read a letter's text: %w", err)
	}
	return s, nil
}

func (s *Shown) part(head func(string) string, body io.Reader, nested int) error {
	kind, parameters, err := mime.ParseMediaType(head("Content-Type"))
	if err != nil {
		kind = "text/plain" // as a letter without a type is
	}
	if _, attached, err := mime.ParseMediaType(head("Content-Disposition")); err == nil && attached["filename"] != "" {
		s.Files = append(s.Files, attached["filename"])
		return nil
	}
	switch {
	case strings.HasPrefix(kind, "multipart/") && nested > 0:
		for parts := multipart.NewReader(body, parameters["boundary"]); ; {
			p, err := parts.NextRawPart()
			if err == io.EOF {
				return nil
			}
			if err == nil {
				err = s.part(p.Header.Get, p, nested-1)
			}
			if err != nil {
				return err
			}
		}
	case kind != "text/plain" || s.Text != "":
		return nil
	}
	switch strings.ToLower(head("Content-Transfer-Encoding")) {
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	s.Text = string(text)
	return err
}
