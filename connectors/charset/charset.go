// Package charset turns text into the bytes that a HIS reads, and its bytes
// into text. It never loses a character silently: patients' names are at stake.
package charset

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// Names of the charsets, as an option names them.
var Names = []string{"UTF-8", "GB18030", "GBK"}

// ErrInvalid says that bytes are not text in the charset.
type ErrInvalid struct{ Charset string }

func (e ErrInvalid) Error() string { return "the bytes are not text in " + e.Charset }

// Charset is how one HIS spells text in bytes. The nil Charset is UTF-8.
type Charset struct {
	name string
	// write and read differ for GBK: a HIS that says GBK is sent nothing that
	// GBK does not have, but what it sends is often GB18030, of which GBK is a part.
	write, read encoding.Encoding
	replacement string
	refuse      bool
}

// New finds a charset by name. unencodable is "refuse", or the text to write in
// the place of a character that the charset does not have.
func New(name, unencodable string) (*Charset, error) {
	c := &Charset{refuse: unencodable == "refuse", replacement: unencodable}
	switch strings.ToUpper(name) {
	case "UTF-8", "UTF8":
		c.name = "UTF-8"
	case "GB18030":
		c.name, c.write, c.read = "GB18030", simplifiedchinese.GB18030, simplifiedchinese.GB18030
	case "GBK", "GB2312":
		c.name, c.write, c.read = "GBK", simplifiedchinese.GBK, simplifiedchinese.GB18030
	default:
		return nil, errors.New("not one of " + strings.Join(Names, ", "))
	}
	if !c.refuse {
		if _, err := (&Charset{name: c.name, write: c.write, refuse: true}).Encode(nil, unencodable); err != nil {
			return nil, errors.New("the replacement itself is not in the charset")
		}
	}
	return c, nil
}

// Name is how HTTP and XML call the charset.
func (c *Charset) Name() string {
	if c == nil {
		return "UTF-8"
	}
	return c.name
}

// Encode appends the bytes of s to to. It fails when s holds a character that
// the charset does not have and that must not be replaced; the error names it
// by its code only, for it may be a part of somebody's name.
func (c *Charset) Encode(to []byte, s string) ([]byte, error) {
	if c == nil || c.write == nil {
		if !utf8.ValidString(s) {
			return nil, errors.New("the text is not valid UTF-8")
		}
		return append(to, s...), nil
	}
	if ascii(s) {
		return append(to, s...), nil
	}
	if !utf8.ValidString(s) {
		return nil, errors.New("the text is not valid UTF-8")
	}
	e := c.write.NewEncoder()
	if b, err := e.Bytes([]byte(s)); err == nil {
		return append(to, b...), nil
	}
	for _, r := range s {
		b, err := e.Bytes([]byte(string(r)))
		if err != nil {
			if c.refuse {
				return nil, fmt.Errorf("%s has no character %U", c.name, r)
			}
			b, _ = e.Bytes([]byte(c.replacement))
		}
		to = append(to, b...)
	}
	return to, nil
}

// Decode reads bytes as text. Bytes that are no text in the charset are
// ErrInvalid, where the encodings themselves would only put U+FFFD.
func (c *Charset) Decode(b []byte) (string, error) {
	if c == nil || c.read == nil {
		if !utf8.Valid(b) {
			return "", ErrInvalid{c.Name()}
		}
		return string(b), nil
	}
	if ascii(b) {
		return string(b), nil
	}
	text, err := c.read.NewDecoder().Bytes(b)
	if err != nil {
		return "", ErrInvalid{c.name}
	}
	if bytes.ContainsRune(text, utf8.RuneError) && !c.spellsReplacement(b, text) {
		return "", ErrInvalid{c.name}
	}
	return string(text), nil
}

// Legible reads what can be read of bytes that are no text, with U+FFFD for the
// rest: good for an answer to whoever sent them, never for what they say.
func (c *Charset) Legible(b []byte) string {
	if c != nil && c.read != nil {
		if text, err := c.read.NewDecoder().Bytes(b); err == nil {
			b = text
		}
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}

// spellsReplacement tells a HIS that really wrote U+FFFD, because it lost a
// character long ago, from bytes that could not be read.
func (c *Charset) spellsReplacement(b, text []byte) bool {
	again, err := c.read.NewEncoder().Bytes(text)
	return err == nil && bytes.Equal(again, b)
}

func ascii[T string | []byte](s T) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
