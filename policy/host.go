package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// parseHost brings the text of a Host header or of X-Forwarded-Host into one form:
// lower case, without the port, an IPv6 address in brackets. Port is 0 where none was
// given. Anything that is not exactly one host (a list, userinfo, a zone, a trailing
// dot, text outside ASCII) is an error. Forms: RFC 3986 §3.2.2, RFC 9110 §7.2.
func parseHost(raw string) (host string, port uint16, err error) {
	name, portText, hasPort := splitPort(raw)
	if hasPort {
		n, err := strconv.ParseUint(portText, 10, 16)
		if err != nil || n == 0 || portText[0] == '0' {
			return "", 0, errors.New("host has a port that is no number from 1 to 65535")
		}
		port = uint16(n)
	}
	if inner, ok := strings.CutPrefix(name, "["); ok {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		if err != nil || !addr.Is6() || addr.Zone() != "" || !strings.HasSuffix(inner, "]") {
			return "", 0, errors.New("host is not an IPv6 address in brackets")
		}
		return "[" + addr.String() + "]", port, nil
	}
	if err := checkName(name); err != nil {
		return "", 0, err
	}
	return strings.ToLower(name), port, nil
}

// splitPort cuts at the colon behind the host; colons within brackets belong to it.
func splitPort(raw string) (name, port string, hasPort bool) {
	i := strings.LastIndexByte(raw, ':')
	if i < 0 || i < strings.LastIndexByte(raw, ']') {
		return raw, "", false
	}
	return raw[:i], raw[i+1:], true
}

// checkName accepts a DNS name in letters, digits, - and _ (which container networks
// use), or an IPv4 address of four decimal parts.
func checkName(name string) error {
	if name == "" || len(name) > 253 {
		return errors.New("host is empty or longer than 253 bytes")
	}
	start := 0
	for i := 0; i <= len(name); i++ {
		if i < len(name) && name[i] != '.' {
			c := name[i]
			if class[c]&unreserved == 0 || c == '~' {
				return fmt.Errorf("host has byte 0x%02X", c)
			}
			continue
		}
		if i == start || i-start > 63 {
			return errors.New("host has an empty label, a trailing dot or a label longer than 63 bytes")
		}
		if i == len(name) && looksNumeric(name[start:i]) {
			if _, err := netip.ParseAddr(name); err != nil {
				return errors.New("host ends in a number and is not an IPv4 address")
			}
		}
		start = i + 1
	}
	return nil
}

// looksNumeric tells whether a last label makes some parsers read an IPv4 address
// (WHATWG URL §3.5: digits, or 0x and hexadecimal digits).
func looksNumeric(label string) bool {
	if label[0] < '0' || label[0] > '9' {
		return false // as nearly every host
	}
	if rest, ok := strings.CutPrefix(strings.ToLower(label), "0x"); ok {
		return strings.Trim(rest, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

// Hosts says which hosts and ports a request may name. The zero value takes every
// well-formed host on the default port of its scheme.
type Hosts struct {
	entries []hostEntry
	ports   map[uint16]bool
}

// hostEntry is one line of `hosts:`. Port 0 stands for the scheme's default.
type hostEntry struct {
	host string // as in a route's pattern
	port uint16
}

// ParseHosts reads the forms "host", "host:port", "*.domain", "*.domain:port" and
// "*:port". The last makes a port known for every host; where there is one of the others,
// every other host is refused. Own ports are those that our own listeners have, and known
// too.
func ParseHosts(entries []string, ownPorts ...uint16) (Hosts, error) {
	h := Hosts{ports: map[uint16]bool{}}
	for _, port := range ownPorts {
		h.ports[port] = true
	}
	for _, entry := range entries {
		if number, ok := strings.CutPrefix(entry, "*:"); ok {
			_, port, err := parseHost("every:" + number)
			if err != nil {
				return Hosts{}, fmt.Errorf("hosts: %q: %w", entry, err)
			}
			h.ports[port] = true
			continue
		}
		bare, below := strings.CutPrefix(entry, "*.")
		host, port, err := parseHost(bare)
		switch {
		case entry == "*":
			err = errors.New(`every host is what is taken without hosts: leave it out; "*:8080" is every host on a port`)
		case strings.Contains(entry, "/"):
			err = errors.New("a host has no scheme and no path; write example.com or example.com:8443 alone")
		case err == nil && below:
			err = checkDomain(host)
			host = "*." + host
		}
		if err != nil {
			return Hosts{}, fmt.Errorf("hosts: %q: %w", entry, err)
		}
		h.entries = append(h.entries, hostEntry{host, port})
	}
	return h, nil
}

// CheckMatch refuses the pattern of a route whose host no request can name. One that is no
// pattern at all is for NewEngine to refuse.
func (h Hosts) CheckMatch(match string) error {
	if p, err := parsePattern(match); err == nil && p.host != "" && !h.meets(p.host) {
		return fmt.Errorf("host %s is not among hosts, so no request can come by this route; add it there, or take the route out", p.host)
	}
	return nil
}

// meets tells whether some host is among hosts and of a pattern.
func (h Hosts) meets(pattern string) bool {
	return len(h.entries) == 0 || slices.ContainsFunc(h.entries, func(e hostEntry) bool {
		return hostMatches(e.host, pattern) || hostMatches(pattern, e.host) // either can be a *. domain
	})
}

// checkDomain refuses an address behind *. since no host lies below one.
func checkDomain(host string) error {
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return errors.New("no host lies below an address")
	}
	return nil
}

func (h Hosts) check(host string, port uint16, scheme string) error {
	if port == defaultPort(scheme) {
		port = 0
	}
	everywhere := port == 0 || h.ports[port]
	if len(h.entries) == 0 {
		if everywhere {
			return nil
		}
		return fmt.Errorf("port %d is not known; name it in hosts, as *:%d", port, port)
	}
	for _, e := range h.entries {
		known := e.port == port || everywhere && e.port == 0 || e.port == defaultPort(scheme) && port == 0
		if known && hostMatches(e.host, host) {
			return nil
		}
	}
	return fmt.Errorf("host %s with port %d is not among hosts", host, port)
}

// hostMatches tells whether a host is the one of a pattern, or below its *. domain.
func hostMatches(pattern, host string) bool {
	if domain, ok := strings.CutPrefix(pattern, "*"); ok {
		return len(host) > len(domain) && strings.HasSuffix(host, domain)
	}
	return pattern == host
}

func defaultPort(scheme string) uint16 {
	if scheme == "https" {
		return 443
	}
	return 80
}
