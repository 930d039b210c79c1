package codes

import (
	"bytes"
	"errors"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
	utf16 "golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// mark is the byte order mark; a file that begins with it says that it is UTF-8.
var mark = []byte("\ufeff")

// CureSpelling is what is to be done about a table in another charset: Excel in China
// saves CSV as GB18030, whose bytes are other characters in any other.
const CureSpelling = "save it as UTF-8, or bring it in with hishub codes import"

// foreignLine is the first line that is not UTF-8, 0 if there is none.
//
// The two bytes of some Chinese characters are one letter in UTF-8, too: 女 is Ů. So
// a file that has Latin letters with marks above ASCII, and neither Chinese nor a
// byte order mark, is taken for GB18030: no HIS has such codes.
func foreignLine(data []byte) int {
	if bytes.HasPrefix(data, mark) && utf8.Valid(data) {
		return 0
	}
	n, chinese, letter := 0, false, 0
	for line := range bytes.Lines(data) {
		n++
		if !utf8.Valid(line) {
			return n
		}
		for _, r := range string(line) {
			chinese = chinese || r >= 0x0800
			if letter == 0 && r >= 0x0100 && unicode.Is(unicode.Latin, r) {
				letter = n
			}
		}
	}
	if chinese {
		return 0
	}
	return letter
}

// decoded is the text of a CSV file: by its byte order mark, else UTF-8 where it is
// that, else GB18030, as Excel writes it in China.
func decoded(data []byte) (string, error) {
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		out, _, err := transform.Bytes(utf16.UTF16(utf16.LittleEndian, utf16.ExpectBOM).NewDecoder(), data)
		return string(out), err
	case foreignLine(data) == 0:
		return string(bytes.TrimPrefix(data, mark)), nil
	}
	out, _, err := transform.Bytes(simplifiedchinese.GB18030.NewDecoder(), data)
	if err != nil || bytes.ContainsRune(out, utf8.RuneError) {
		return "", errors.New("the text is neither UTF-8 nor GB18030")
	}
	return string(out), nil
}
