package config

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/stile-gate/stile/policy"
)

// adminOff is how listen.admin is written to have none.
const adminOff = "off"

// trustEveryone is the gate that a wide trust entry fails.
const trustEveryone = "trust-everyone"

func gates() []string { return []string{trustEveryone} }

func (c *Config) checkListen(r *report) {
	listen := at("listen")
	if c.Listen.Auth == "" && c.Listen.Proxy == "" && !r.touched(listen) {
		r.errorf(listen, "listen: needs auth: or proxy:")
	}
	addresses := []struct{ name, text string }{
		{"auth", c.Listen.Auth}, {"proxy", c.Listen.Proxy}, {"admin", c.Listen.Admin},
	}
	for i, a := range addresses {
		path := at("listen", a.name)
		if a.text == "" || r.unsure(path) || a.name == "admin" && a.text == adminOff {
			continue
		}
		if _, _, err := splitAddress(a.text); err != nil {
			r.errorf(path, "listen.%s: %s is not an address: %v", a.name, r.quote(path), err)
			continue
		}
		for _, other := range addresses[:i] {
			if collide(other.text, a.text) && !r.unsure(at("listen", other.name)) {
				r.errorf(path, "listen.%s: takes the same port as listen.%s", a.name, other.name)
				break
			}
		}
	}
}

// splitAddress reads host:port or :port.
func splitAddress(text string) (host, port string, err error) {
	host, port, err = net.SplitHostPort(text)
	if err != nil {
		return "", "", errors.New("the form is host:port or :port")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || strconv.FormatUint(n, 10) != port {
		return "", "", errors.New("the port must be a number to 65535")
	}
	if _, err := netip.ParseAddr(host); err == nil || host == "" {
		return host, port, nil
	}
	if _, err := policy.ParseHosts([]string{host}); err != nil || strings.ContainsAny(host, "*:[") {
		return "", "", errors.New("the host must be an IP address or a name")
	}
	return host, port, nil
}

// collide tells whether two listeners would want one port. Port 0 is any free one.
func collide(a, b string) bool {
	hostA, portA, errA := splitAddress(a)
	hostB, portB, errB := splitAddress(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	return hostA == hostB || isWildcard(hostA) || isWildcard(hostB)
}

func isWildcard(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "" || err == nil && addr.IsUnspecified()
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}

// checkAdmin also turns a listener that is written off into none. It never shows the
// token: somebody may have put it there in place of its hash.
func (c *Config) checkAdmin(r *report) {
	token := at("admin", "token")
	if err := policy.CheckKeyHash(c.Admin.Token); c.Admin.Token != "" && !r.unsure(token) &&
		(err != nil || !strings.HasPrefix(c.Admin.Token, "sha256:")) {
		r.errorf(token, "admin.token: must be the hash of the token: sha256: and 64 hexadecimal digits in lower case")
	}
	if c.Listen.Admin == adminOff {
		c.Listen.Admin = ""
		if c.Admin.Token != "" {
			r.errorf(token, "admin.token: does nothing while listen.admin is off")
		}
		return
	}
	path := at("listen", "admin")
	host, _, err := splitAddress(c.Listen.Admin)
	if err == nil && !isLoopback(host) && len(c.Admin.Hashes()) == 0 && !r.unsure(path) && !r.touched(at("admin")) {
		r.errorf(path, "listen.admin: %s is not loopback and needs admin.token or %s", r.quote(path), envAdminToken)
	}
}

func (c *Config) checkTrust(r *report) {
	trust := at("trust")
	if c.Listen.Auth != "" && len(c.Trust) == 0 && !r.touched(trust) {
		r.errorf(at("listen", "auth"), "listen.auth: needs trust:, the networks of the proxies that ask")
	}
	why, waived := c.Waive[trustEveryone]
	wide := 0
	for i, network := range c.Trust {
		path := at("trust", i)
		if !network.IsValid() || !isWide(network) {
			continue
		}
		wide++
		if !waived {
			r.errorf(path, "trust: %s lets almost anybody say who a client is; narrow it, or say why in waive: %s:",
				r.quote(path), trustEveryone)
		}
	}
	for id := range c.Waive {
		path := at("waive", id)
		switch {
		case id != trustEveryone:
			r.errorf(path, "waive: no gate %s%s", quote(id), didYouMean(id, gates()))
		case wide == 0 && !r.touched(trust):
			r.errorf(path, "waive: %s waives nothing: no entry of trust: is so wide", id)
		case strings.TrimSpace(why) == "" && !r.unsure(path):
			r.errorf(path, "waive: %s: say why", id)
		}
	}
}

// isWide tells whether a network is no operator's own.
func isWide(network netip.Prefix) bool {
	if network.Addr().Is4() {
		return network.Bits() < 8
	}
	return network.Bits() < 7
}
