package functions

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// maxWidth bounds pad: no column of a HIS is wider.
const maxWidth = 4000

func texts() []Function {
	cut := define("cut", `cut(text, n, "GB18030") text: the longest beginning that fits into n bytes of GB18030, GBK or UTF-8, never half a character`, func(in *arguments) (any, error) {
		return cutBytes(in.text(0), in.count(1), in.text(2))
	}, new(func(string, int, string) string))
	cut.literal = func(i int, text string) error {
		if i != 2 {
			return nil
		}
		_, err := charset(text)
		return err
	}

	return []Function{
		define("text", "text(value) text: of text, a whole number, true or false, UTF-8 bytes; nil is empty", func(in *arguments) (any, error) {
			return Text(in.at(0))
		}, new(func(string) string), new(func(int) string), new(func(bool) string), new(func([]byte) string)),

		define("upper", "upper(text) text: in upper case", func(in *arguments) (any, error) {
			return strings.ToUpper(in.text(0)), nil
		}, new(func(string) string)),

		define("lower", "lower(text) text: in lower case", func(in *arguments) (any, error) {
			return strings.ToLower(in.text(0)), nil
		}, new(func(string) string)),

		define("trim", "trim(text) text: without white space at both ends, the full-width space included", func(in *arguments) (any, error) {
			return strings.TrimSpace(in.text(0)), nil
		}, new(func(string) string)),

		define("pad", `pad(text, n, "0") text: filled from the left to n characters; longer text stays as it is`, func(in *arguments) (any, error) {
			text, n, fill := in.text(0), in.count(1), in.text(2)
			if utf8.RuneCountInString(fill) != 1 {
				return nil, errors.New("fills with exactly one character")
			}
			if n > maxWidth {
				return nil, fmt.Errorf("fills to at most %d characters", maxWidth)
			}
			return strings.Repeat(fill, max(0, n-utf8.RuneCountInString(text))) + text, nil
		}, new(func(string, int, string) string)),

		define("left", "left(text, n) text: the first n characters", func(in *arguments) (any, error) {
			characters := []rune(in.text(0))
			return string(characters[:min(in.count(1), len(characters))]), nil
		}, new(func(string, int) string)),

		define("right", "right(text, n) text: the last n characters", func(in *arguments) (any, error) {
			characters := []rune(in.text(0))
			return string(characters[len(characters)-min(in.count(1), len(characters)):]), nil
		}, new(func(string, int) string)),

		cut,

		define("split", `split(text, ",") list: the parts between the separators; empty text has none`, func(in *arguments) (any, error) {
			text, separator := in.text(0), in.text(1)
			if separator == "" {
				return nil, errors.New("the separator is empty")
			}
			parts := []any{}
			if text != "" {
				for part := range strings.SplitSeq(text, separator) {
					parts = append(parts, part)
				}
			}
			return parts, nil
		}, new(func(string, string) []any)),

		define("join", `join(list, ",") text: the texts and whole numbers of a list with a separator between them`, func(in *arguments) (any, error) {
			list := in.list(0)
			parts := make([]string, len(list))
			for i, v := range list {
				var err error
				if parts[i], err = Text(v); err != nil {
					return nil, err
				}
			}
			return strings.Join(parts, in.text(1)), nil
		}, new(func([]any, string) string)),

		define("replace", "replace(text, old, new) text: every old by new", func(in *arguments) (any, error) {
			old := in.text(1)
			if old == "" {
				return nil, errors.New("the text to replace is empty")
			}
			return strings.ReplaceAll(in.text(0), old, in.text(2)), nil
		}, new(func(string, string, string) string)),

		define("mask", "mask(text) text: hides the middle: of 11 characters and more 3 and 4 stay, of 5 to 10 one at each end, of fewer the first of at least two", func(in *arguments) (any, error) {
			return masked(in.text(0)), nil
		}, new(func(string) string)),
	}
}

func (in *arguments) count(i int) int {
	n := in.int(i)
	if n < 0 {
		in.wrong(errors.New("takes a number of characters or bytes that is not negative"))
		return 0
	}
	return n
}

// charset is nil for UTF-8.
func charset(name string) (encoding.Encoding, error) {
	switch strings.ToUpper(name) {
	case "GB18030":
		return simplifiedchinese.GB18030, nil
	case "GBK":
		return simplifiedchinese.GBK, nil
	case "UTF-8":
		return nil, nil
	}
	return nil, errors.New("knows the charsets GB18030, GBK and UTF-8")
}

func cutBytes(text string, n int, name string) (string, error) {
	in, err := charset(name)
	if err != nil {
		return "", err
	}
	if !utf8.ValidString(text) {
		return "", errors.New("the text is not valid UTF-8")
	}
	size := 0
	for i, r := range text {
		width := utf8.RuneLen(r)
		if in != nil && width > 1 {
			encoded, err := in.NewEncoder().String(string(r))
			if err != nil {
				return "", fmt.Errorf("the text has a character that %s lacks", strings.ToUpper(name))
			}
			width = len(encoded)
		}
		if size += width; size > n {
			return text[:i], nil
		}
	}
	return text, nil
}

func masked(text string) string {
	characters := []rune(text)
	n, front, back := len(characters), 0, 0
	switch {
	case n >= 11:
		front, back = 3, 4
	case n >= 5:
		front, back = 1, 1
	case n >= 2:
		front = 1
	}
	for i := front; i < n-back; i++ {
		characters[i] = '*'
	}
	return string(characters)
}
