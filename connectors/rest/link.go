package rest

import (
	"cmp"
	"errors"
	"net/url"
	"strings"
)

// within makes the path below our base of a link that the HIS gave, as the next
// page's; what is a path already stays as it is. A link that leads anywhere else is
// an error: what we send has our token, and no answer of a HIS decides who gets it.
func (c *Connector) within(link string) (string, error) {
	if strings.HasPrefix(link, "/") {
		if path, _, _ := strings.Cut(link, "?"); dotted(path) {
			return "", errDots
		}
		return link, nil
	}
	u, err := url.Parse(link)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return link, nil //nolint:nilerr // no link; what it is is said elsewhere
	}
	if u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return "", errors.New("the link has a user or a fragment, which is not followed")
	}
	if dotted(u.EscapedPath()) {
		return "", errDots
	}
	for _, base := range []*url.URL{c.base, c.knownAs} {
		if base == nil || u.Scheme != base.Scheme || address(u) != address(base) {
			continue
		}
		rest, below := strings.CutPrefix(u.EscapedPath(), base.EscapedPath())
		if !below || rest != "" && rest[0] != '/' {
			continue
		}
		rest = cmp.Or(rest, "/")
		if u.RawQuery != "" {
			rest += "?" + u.RawQuery
		}
		return rest, nil
	}
	return "", errors.New("the link leads to another address than the base; if the HIS calls itself so, write it as known_as")
}

var errDots = errors.New("the path has dots that lead out of the base (/../), which is not followed; write it without them")

// dotted reports whether a path has parts that lead upwards in the eyes of any
// server: net/http sends dots as they stand, so the HIS would leave the base by
// itself. Servers unescape, some of them twice, take \ for / and cut off what
// follows a semicolon.
func dotted(path string) bool {
	for range 3 {
		for part := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '/' || r == '\\' }) {
			if part, _, _ = strings.Cut(part, ";"); part == "." || part == ".." {
				return true
			}
		}
		plain, err := url.PathUnescape(path)
		if err != nil || plain == path {
			break
		}
		path = plain
	}
	return false
}

// address is host and port as they are compared.
func address(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return strings.ToLower(u.Hostname()) + ":" + port
}
