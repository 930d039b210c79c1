package tcp

import (
	"bytes"
	"errors"
	"fmt"

	"hishub/connectors/charset"
	"hishub/connectors/option"
)

// Bytes of an MLLP frame (HL7 v2 Implementation Guide, appendix C).
const (
	blockStart = 0x0b
	blockEnd   = 0x1c
	blockLast  = 0x0d
)

// Framing is how a HIS tells where a text begins and ends on a connection:
//
//	mllp     0x0B text 0x1C 0x0D
//	length   prefix, text[:at], the length, text[at:], suffix
//	end      prefix, text, end
type Framing struct {
	charset *charset.Charset
	mllp    bool
	prefix  []byte
	suffix  []byte
	length  *length // nil: ends by end
	end     []byte
	// endInText: the end is a part of the text, as </ROOT> is.
	endInText bool
}

// ReadFraming reads the option framing: "mllp", or a map with length or end.
func ReadFraming(s *option.Set, c *charset.Charset) *Framing {
	f := &Framing{charset: c}
	switch v := s.Value("framing").(type) {
	case nil:
		s.Problem("framing", "missing: write mllp, {length: {digits: 6}} or {end: \"\\u0003\"}")
		return f
	case string:
		f.mllp = v == "mllp"
		if !f.mllp {
			s.Problem("framing", "not mllp, nor a map like {length: {digits: 6}} or {end: \"\\u0003\"}")
		}
		return f
	}
	o := s.Map("framing")
	if o == nil {
		return f
	}
	f.prefix = f.bytes(o, "prefix")
	f.suffix = f.bytes(o, "suffix")
	f.end = f.bytes(o, "end")
	f.endInText = o.Bool("end_in_text", false)
	if l := o.Map("length"); l != nil {
		f.length = readLength(l)
	}
	switch {
	case f.length == nil && f.end == nil:
		o.Problem("length", "missing, and so is end: one of them tells where a text ends")
	case f.length != nil && f.end != nil:
		o.Problem("end", "a text ends by its length or by its end, not by both; what follows a text of known length is suffix")
	case f.length == nil && f.suffix != nil:
		o.Problem("suffix", "it follows a text of known length; without one write it as end")
	case f.length != nil && f.endInText:
		o.Problem("end_in_text", "there is no end")
	}
	return f
}

func (f *Framing) bytes(o *option.Set, name string) []byte {
	b, err := f.charset.Encode(nil, o.Text(name, ""))
	if err != nil {
		o.Problem(name, err.Error())
	}
	return b
}

// Write frames a text. The error says why it cannot be, without the text.
func (f *Framing) Write(text string) ([]byte, error) {
	content, err := f.charset.Encode(nil, text)
	if err != nil {
		return nil, err
	}
	switch {
	case f.mllp:
		if i := bytes.IndexAny(content, "\x0b\x1c"); i >= 0 {
			return nil, fmt.Errorf("byte %d of the text is 0x%02X, which frames an MLLP message", i, content[i])
		}
		return append(append([]byte{blockStart}, content...), blockEnd, blockLast), nil
	case f.length != nil:
		return f.writeCounted(content)
	}
	return f.writeEnded(content)
}

func (f *Framing) writeCounted(content []byte) ([]byte, error) {
	at := f.length.at
	if len(content) < at {
		return nil, fmt.Errorf("the length stands behind %d bytes of the text, which has %d", at, len(content))
	}
	counted := len(content) - at
	if f.length.counts != countsBytes {
		// What the charset made of it counts, which may be a replacement.
		text, err := f.charset.Decode(content[at:])
		if err != nil {
			return nil, fmt.Errorf("behind the first %d bytes: %w", at, err)
		}
		counted = f.length.count(text)
	}
	out := append([]byte(nil), f.prefix...)
	out = append(out, content[:at]...)
	out, err := f.length.write(out, counted)
	if err != nil {
		return nil, err
	}
	return append(append(out, content[at:]...), f.suffix...), nil
}

func (f *Framing) writeEnded(content []byte) ([]byte, error) {
	if f.endInText {
		if !bytes.HasSuffix(content, f.end) {
			return nil, errors.New("the text does not end as framing.end says")
		}
		content = content[:len(content)-len(f.end)]
	}
	body := append(content[:len(content):len(content)], f.end...)
	// The end may also arise where the text meets it: a@ and @@.
	found, err := (&finder{charset: f.charset, end: f.end}).find(body)
	if err != nil {
		return nil, err
	}
	if found != len(content) {
		return nil, errors.New("the text holds its own end (framing.end); replace it in the document's format")
	}
	return append(append([]byte(nil), f.prefix...), body...), nil
}
