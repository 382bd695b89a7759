package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"net/textproto"
	"strings"
)

// maxHops bounds the entries of X-Forwarded-For; a longer chain is no real one.
const maxHops = 32

// Prefixes is a set of networks.
type Prefixes []netip.Prefix

// Contain tells whether an address lies in one of the networks. An IPv4 address that
// came mapped into IPv6 counts as IPv4.
func (p Prefixes) Contain(addr netip.Addr) bool {
	addr = addr.Unmap()
	for _, prefix := range p {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// ClientIP is the rightmost address of an X-Forwarded-For chain that trusted peers do
// not vouch for as one of their own: the last that anybody trustworthy has seen. Entries
// are bare addresses; one with a port, a zone or other text is an error.
func (p Prefixes) ClientIP(chain string) (netip.Addr, error) {
	if strings.Count(chain, ",") >= maxHops {
		return netip.Addr{}, fmt.Errorf("X-Forwarded-For has more than %d entries", maxHops)
	}
	var leftmost netip.Addr
	found := false
	for rest := chain; ; {
		i := strings.LastIndexByte(rest, ',')
		addr, err := netip.ParseAddr(textproto.TrimString(rest[i+1:]))
		if err != nil || addr.Zone() != "" {
			return netip.Addr{}, errors.New("X-Forwarded-For has an entry that is not an IP address")
		}
		if !found {
			leftmost = addr.Unmap()
			found = !p.Contain(leftmost)
		}
		if i < 0 {
			return leftmost, nil
		}
		rest = rest[:i]
	}
}
