package clinic

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Proxy is an address, or a net of them, whose word is taken for where a request comes from.
type Proxy netip.Prefix

// UnmarshalText reads an address as 10.0.0.7, or a net as 10.0.0.0/24.
func (p *Proxy) UnmarshalText(text []byte) error {
	if one, err := netip.ParseAddr(string(text)); err == nil {
		one = one.Unmap()
		*p = Proxy(netip.PrefixFrom(one, one.BitLen()))
		return nil
	}
	net, err := netip.ParsePrefix(string(text))
	switch {
	case err != nil:
		return fmt.Errorf("%q is no address and no net; write 10.0.0.7 or 10.0.0.0/24", text)
	case net.Bits() == 0:
		return fmt.Errorf("%q is everybody: whoever calls could say that he is somebody else", text)
	}
	*p = Proxy(net.Masked())
	return nil
}

// String is its net.
func (p Proxy) String() string { return netip.Prefix(p).String() }

// clientOf is where a request comes from: who connected, unless that is a trusted proxy.
// Each proxy adds whom it heard at the right of X-Forwarded-For, so that is read from there,
// as long as those named are trusted, too; what is further left anybody could have written.
func clientOf(trusted []Proxy, remote string, forwarded []string) string {
	at, ok := parseAddress(remote)
	if !ok {
		return address(remote)
	}
	hops := strings.Split(strings.Join(forwarded, ","), ",")
	for i := len(hops) - 1; i >= 0 && slices.ContainsFunc(trusted, func(p Proxy) bool { return netip.Prefix(p).Contains(at) }); i-- {
		next, ok := parseAddress(strings.TrimSpace(hops[i]))
		if !ok {
			break // what a proxy says that is no address says nothing
		}
		at = next
	}
	return at.String()
}

// parseAddress reads an address with or without a port.
func parseAddress(text string) (netip.Addr, bool) {
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	at, err := netip.ParseAddr(strings.Trim(text, "[]"))
	return at.Unmap().WithZone(""), err == nil
}
