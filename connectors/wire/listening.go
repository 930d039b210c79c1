package wire

import (
	"net/netip"
	"strings"
	"time"

	"hishub/connectors/charset"
	"hishub/connectors/option"
	"hishub/core"
)

// ReadListening reads the options that every listener has: timeout, allow,
// client, concurrency, rate, max_request, charset and unencodable.
func ReadListening(s *option.Set) (core.Listening, *charset.Charset) {
	l := core.Listening{
		Timeout:     s.Duration("timeout", 5*time.Second),
		Client:      s.Text("client", ""),
		Concurrency: s.Count("concurrency"),
		MaxRequest:  s.Size("max_request", 256<<10),
		Rate:        100,
	}
	if l.Concurrency == 0 {
		l.Concurrency = 32
	}
	if n := s.Count("rate"); n > 0 {
		l.Rate = float64(n)
	}
	if l.MaxRequest > 4<<20 {
		s.Problem("max_request", "more than 4MiB")
	}
	if l.Timeout > time.Minute {
		s.Problem("timeout", "longer than a minute: a HIS at a window does not wait so long")
	}
	l.Allow = readAllow(s)
	text, err := charset.New(s.Text("charset", "UTF-8"), "refuse")
	if err != nil {
		s.Problem("charset", err.Error())
		return l, nil
	}
	if with := s.Text("unencodable", "refuse"); with != "refuse" {
		if text, err = charset.New(text.Name(), with); err != nil {
			s.Problem("unencodable", err.Error())
		}
	}
	return l, text
}

// readAllow reads addresses, "10.1.0.0/16" or "10.1.2.3".
func readAllow(s *option.Set) (allow []netip.Prefix) {
	v := s.Value("allow")
	if v == nil {
		return nil
	}
	list, ok := v.([]any)
	if text, isText := v.(string); isText {
		// One variable may hold several.
		ok = true
		for _, part := range strings.Split(text, ",") {
			list = append(list, strings.TrimSpace(part))
		}
	}
	for _, e := range list {
		text, _ := e.(string)
		p, err := netip.ParsePrefix(text)
		if err != nil {
			var a netip.Addr
			if a, err = netip.ParseAddr(text); err == nil {
				p = netip.PrefixFrom(a, a.BitLen())
			}
		}
		if err != nil {
			ok = false
			break
		}
		allow = append(allow, p)
	}
	if !ok || len(allow) == 0 {
		s.Problem("allow", `not a list of addresses like ["10.1.0.0/16", "10.2.3.4"]`)
	}
	return allow
}
