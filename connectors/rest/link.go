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
		return link, nil
	}
	u, err := url.Parse(link)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return link, nil // no link; what it is is said elsewhere
	}
	if u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return "", errors.New("the link has a user or a fragment, which is not followed")
	}
	// net/http sends dots as they stand, so the HIS would leave the base by itself.
	for part := range strings.SplitSeq(u.Path, "/") {
		if part == "." || part == ".." {
			return "", errors.New("the link has dots in its path, which is not followed")
		}
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

// address is host and port as they are compared.
func address(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return strings.ToLower(u.Hostname()) + ":" + port
}
