package functions

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// maxUnpacked bounds what a compressed answer may grow to.
const maxUnpacked = 8 << 20

func bytesAsText() []Function {
	all := []Function{
		define("base64", "base64(data) text: standard, padded, on one line", func(in *arguments) (any, error) {
			return base64.StdEncoding.EncodeToString(in.data(0)), nil
		}, new(func(Data) string)),

		reader("from_base64", "from_base64(text) bytes: padded or not, on one line or several; nil gives nil", func(in *arguments) (any, error) {
			b, err := base64.RawStdEncoding.DecodeString(unpadded(in.text(0)))
			if err != nil {
				return nil, errors.New("the text is not base64")
			}
			return b, nil
		}, new(func(string) []byte)),

		define("base64url", "base64url(data) text: the alphabet of URLs, without padding", func(in *arguments) (any, error) {
			return base64.RawURLEncoding.EncodeToString(in.data(0)), nil
		}, new(func(Data) string)),

		reader("from_base64url", "from_base64url(text) bytes: the alphabet of URLs, padded or not; nil gives nil", func(in *arguments) (any, error) {
			b, err := base64.RawURLEncoding.DecodeString(unpadded(in.text(0)))
			if err != nil {
				return nil, errors.New("the text is not base64url")
			}
			return b, nil
		}, new(func(string) []byte)),

		define("hex", "hex(data) text: lower case", func(in *arguments) (any, error) {
			return hex.EncodeToString(in.data(0)), nil
		}, new(func(Data) string)),

		reader("from_hex", "from_hex(text) bytes: either case; nil gives nil", func(in *arguments) (any, error) {
			b, err := hex.DecodeString(in.text(0))
			if err != nil {
				return nil, errors.New("the text is not hexadecimal")
			}
			return b, nil
		}, new(func(string) []byte)),

		define("gb18030", "gb18030(text) bytes: the text in GB18030; only private-use characters are lacking", func(in *arguments) (any, error) {
			return encodeGB18030(in.text(0))
		}, new(func(string) []byte)),

		reader("from_gb18030", "from_gb18030(bytes) text: the text that was in GB18030; nil gives nil", func(in *arguments) (any, error) {
			return decodeGB18030(in.bytes(0))
		}, new(func([]byte) string)),

		define("encode", `encode(text, "Big5") bytes: the text in that charset, by its name on the web; a character that it lacks is an error`, func(in *arguments) (any, error) {
			return encodeText(in.text(0), in.text(1))
		}, new(func(string, string) []byte)),

		reader("from_encode", `from_encode(bytes, "Big5") text: the text that was in that charset; nil gives nil`, func(in *arguments) (any, error) {
			return decodeText(in.bytes(0), in.text(1))
		}, new(func([]byte, string) string)),

		define("bytes", "bytes(data, ...) bytes: one after the other; text is UTF-8", func(in *arguments) (any, error) {
			var all []byte
			for i := range in.values {
				all = append(all, in.data(i)...)
			}
			return all, nil
		}, new(func(Data, ...Data) []byte)),

		define("slice", "slice(value, from) or slice(value, from, to): from a position, 0 is the first, until before another or the end; characters of text, bytes of bytes; what is beyond the end is not there", func(in *arguments) (any, error) {
			from, to := in.count(1), math.MaxInt
			if len(in.values) > 2 {
				to = in.count(2)
			}
			if whole, ok := in.at(0).([]byte); ok {
				return between(whole, from, to), nil
			}
			return string(between([]rune(in.text(0)), from, to)), nil
		}, new(func(string, int) string), new(func(string, int, int) string), new(func([]byte, int) []byte), new(func([]byte, int, int) []byte)),

		define("gzip", "gzip(data) bytes: compressed, the same for the same data", func(in *arguments) (any, error) {
			var b bytes.Buffer
			w := gzip.NewWriter(&b)
			_, _ = w.Write(in.data(0)) // a buffer does not fail
			_ = w.Close()
			return b.Bytes(), nil
		}, new(func(Data) []byte)),

		reader("from_gzip", "from_gzip(bytes) bytes: what was compressed, at most 8 MiB; nil gives nil", func(in *arguments) (any, error) {
			return unpack(in.bytes(0))
		}, new(func([]byte) []byte)),
	}
	for i := range all {
		if all[i].Name == "encode" || all[i].Name == "from_encode" {
			all[i].literal = func(i int, text string) error { return knownBy(i == 1, text, charsetNamed) }
		}
	}
	return all
}

func between[T any](whole []T, from, to int) []T {
	to = min(to, len(whole))
	return whole[min(from, to):to]
}

// charsetNamed is a charset by its name on the web (WHATWG), nil for UTF-8. GBK
// and GB2312 are read as GB18030, of which they are a part.
func charsetNamed(name string) (encoding.Encoding, error) {
	e, err := htmlindex.Get(name)
	if err != nil {
		return nil, errors.New("does not know this charset; there are UTF-8, GB18030, GBK, Big5, UTF-16LE, Shift_JIS, windows-1252 …")
	}
	if canonical, _ := htmlindex.Name(e); canonical == "utf-8" {
		return nil, nil
	}
	return e, nil
}

func encodeText(text, name string) ([]byte, error) {
	e, err := charsetNamed(name)
	if err != nil {
		return nil, err
	}
	if e == simplifiedchinese.GB18030 {
		return encodeGB18030(text)
	}
	if !utf8.ValidString(text) {
		return nil, errors.New("the text is not valid UTF-8")
	}
	if e == nil {
		return []byte(text), nil
	}
	b, err := e.NewEncoder().Bytes([]byte(text))
	if err != nil {
		return nil, errors.New("the text has a character that the charset lacks")
	}
	return b, nil
}

func decodeText(b []byte, name string) (string, error) {
	e, err := charsetNamed(name)
	if err != nil {
		return "", err
	}
	if e == nil {
		if !utf8.Valid(b) {
			return "", errors.New("the bytes are not UTF-8")
		}
		return string(b), nil
	}
	if e == simplifiedchinese.GB18030 || e == simplifiedchinese.GBK {
		return decodeGB18030(b)
	}
	text, err := e.NewDecoder().String(string(b))
	if err != nil || strings.ContainsRune(text, utf8.RuneError) {
		return "", errors.New("the bytes are not text in this charset")
	}
	return text, nil
}

// unpadded takes MIME's line ends and the padding away, which half of the
// encoders in hospitals write and the other half don't.
func unpadded(text string) string {
	return strings.TrimRight(strings.Map(func(r rune) rune {
		if r == '\r' || r == '\n' || r == ' ' || r == '\t' {
			return -1
		}
		return r
	}, text), "=")
}

// encodeGB18030 decodes again, because the encoder writes some private-use
// characters (rare characters of names, in old fonts) as others, without an error.
func encodeGB18030(text string) ([]byte, error) {
	if !utf8.ValidString(text) {
		return nil, errors.New("the text is not valid UTF-8")
	}
	b, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(text))
	if err == nil {
		var again []byte
		if again, err = simplifiedchinese.GB18030.NewDecoder().Bytes(b); string(again) != text {
			err = errors.New("another text")
		}
	}
	if err != nil {
		return nil, errors.New("the text has a character that GB18030 lacks")
	}
	return b, nil
}

// decodeGB18030 encodes again where it meets U+FFFD, because the decoder writes
// that for bytes it does not know, without an error.
func decodeGB18030(b []byte) (string, error) {
	text, err := simplifiedchinese.GB18030.NewDecoder().String(string(b))
	if err == nil && strings.ContainsRune(text, utf8.RuneError) {
		again, failed := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(text))
		if failed != nil || !bytes.Equal(again, b) {
			err = errors.New("unknown bytes")
		}
	}
	if err != nil {
		return "", errors.New("the bytes are not GB18030")
	}
	return text, nil
}

func unpack(b []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, errors.New("the bytes are not gzip")
	}
	out, err := io.ReadAll(io.LimitReader(r, maxUnpacked+1))
	if err != nil {
		return nil, errors.New("the bytes are not gzip")
	}
	if len(out) > maxUnpacked {
		return nil, fmt.Errorf("unpacks to more than %d bytes", maxUnpacked)
	}
	return out, nil
}
