package policy

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAHostHasOneForm(t *testing.T) {
	label := strings.Repeat("a", 63)
	for _, tc := range []struct {
		raw, host string
		port      uint16
	}{
		{"api.example.com", "api.example.com", 0},
		{"API.Example.COM", "api.example.com", 0},
		{"secure.ADMIN.example.com", "secure.admin.example.com", 0},
		{"api.example.com:443", "api.example.com", 443},
		{"api.example.com:65535", "api.example.com", 65535},
		{"localhost", "localhost", 0},
		{"orders_v1", "orders_v1", 0}, // a container's name
		{"xn--bcher-kva.example", "xn--bcher-kva.example", 0},
		{"192.0.2.1", "192.0.2.1", 0},
		{"192.0.2.1:8080", "192.0.2.1", 8080},
		{"1.2.3.4.example.com", "1.2.3.4.example.com", 0},
		{"4chan.example.4you", "4chan.example.4you", 0},
		{"[::1]", "[::1]", 0},
		{"[::1]:443", "[::1]", 443},
		{"[2001:DB8:0:0::1]", "[2001:db8::1]", 0},
		{label + ".example", label + ".example", 0},
		{strings.Repeat("a.", 126) + "a", strings.Repeat("a.", 126) + "a", 0}, // 253 bytes
	} {
		host, port, err := parseHost(tc.raw)
		if err != nil || host != tc.host || port != tc.port {
			t.Errorf("%q is host %q and port %d (%v), want %q and %d", tc.raw, host, port, err, tc.host, tc.port)
		}
	}
}

func TestAHostIsRefused(t *testing.T) {
	for why, raws := range map[string][]string{
		"that is empty":                {"", ":80", "."},
		"with a trailing dot":          {"api.example.com.", "api.example.com.:443", "localhost."},
		"with an empty label":          {".example.com", "a..b", "..", "a.."},
		"that is a list":               {"a.com, b.com", "a.com,b.com", "a.com b.com", "evil.com,for=127.0.0.1"},
		"with userinfo":                {"user@a.com", "user:pass@a.com", "a.com@evil.com:80"},
		"with a path, query, fragment": {"a.com/evil", "a.com?x", "a.com#b", "a.com\\b"},
		"with a scheme":                {"http://a.com", "//a.com"},
		"with an escape":               {"a%2ecom", "%61.com", "a.com%00"},
		"with a control byte":          {"a.com\r\nX: y", "a.com\x00", "a\t.com", " a.com", "a.com ", "a.com\x7f"},
		"outside ASCII":                {"bücher.example", "a。com", "\xff.com", "KELVIN\u212a.com", "a\u00ad.com"},
		"with odd punctuation":         {"a~b.com", "*.example.com", "*", "a;b.com", "a=b", "a'b", "(a)", "a!b"},
		"with a port that is none": {
			"a.com:", "a.com:0", "a.com:00", "a.com:65536", "a.com:99999999999999999999", "a.com:-1", "a.com:+80", "a.com:080",
			"a.com:0x50", "a.com:8_0", "a.com:http", "a.com: 80", "a.com:80 ", "a.com:80:80", "[::1]:", "[::1]:0", "[::1]:x",
		},
		"of IPv6 without brackets":      {"::1", "2001:db8::1", "::ffff:1.2.3.4", "::"},
		"of brackets around no address": {"[]", "[", "]", "[::1", "::1]", "[[::1]]", "[::1]]", "[1.2.3.4]", "[localhost]", "[::1]x", "x[::1]", "[::1]80", "[v1.x]"},
		"with a zone":                   {"[fe80::1%eth0]", "[fe80::1%25eth0]", "[fe80::1%]"},
		"that some read as IPv4": {
			"010.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f.0.0.1", "0x7f000001", "0X7F000001", "0x", "1.2.3.4.5", "256.1.1.1",
			"1.2.3.999", "a.1", "a.0x1", "01.02.03.04", "0177.0.0.1", "1.2.3.0x4",
		},
		"that is too long": {strings.Repeat("a", 64), strings.Repeat("a", 64) + ".com", strings.Repeat("a.", 127) + "a"},
	} {
		t.Run(why, func(t *testing.T) {
			for _, raw := range raws {
				if host, port, err := parseHost(raw); err == nil {
					t.Errorf("%.80q is taken as host %q and port %d", raw, host, port)
				}
			}
		})
	}
}

func TestAHostInItsOneFormStaysThatWay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checkHost(t, rapid.StringMatching(`[a-zA-Z0-9.:\[\]_%-]{1,20}(:[0-9]{1,5})?`).Draw(t, "host"))
	})
}

func FuzzHost(f *testing.F) {
	for _, raw := range []string{"a.com", "A.com:443", "[::1]:80", "a.com.", "[fe80::1%eth0]", "0x7f.1", "u@a.com", "a..b", "[::ffff:1.2.3.4]", ":", "]:1["} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) { checkHost(t, raw) })
}

// checkHost holds what is true of every host, taken or refused.
func checkHost(t reporter, raw string) {
	t.Helper()
	host, _, err := parseHost(raw)
	if err != nil {
		if host != "" {
			t.Fatalf("%q is refused and yet %q", raw, host)
		}
		return
	}
	if again, port, err := parseHost(host); err != nil || again != host || port != 0 {
		t.Fatalf("%q is %q, but that is %q with port %d (%v)", raw, host, again, port, err)
	}
	if host == "" || host != strings.ToLower(host) || strings.HasSuffix(host, ".") || strings.ContainsAny(host, ",@/%#\\ ") {
		t.Fatalf("%q is %q", raw, host)
	}
	if !strings.HasPrefix(strings.ToLower(raw), host) && host[0] != '[' {
		t.Fatalf("%q is %q, which is more than its case", raw, host)
	}
}

func TestWhichHostsAndPortsARequestMayName(t *testing.T) {
	for _, tc := range []struct {
		why      string
		hosts    []string
		ownPorts []uint16
		taken    []string // scheme://host
		refused  []string
	}{
		{
			why:     "without hosts:, every host on the default port of its scheme",
			taken:   []string{"http://a.com", "https://a.com", "http://a.com:80", "https://a.com:443", "https://[::1]"},
			refused: []string{"http://a.com:443", "https://a.com:80", "https://a.com:8443", "http://a.com:8080"},
		},
		{
			why:      "the ports of our own listeners are known for every host",
			ownPorts: []uint16{8080},
			taken:    []string{"http://a.com:8080", "https://a.com:8080", "http://a.com"},
			refused:  []string{"http://a.com:8081", "http://a.com:443"},
		},
		{
			why:     "with hosts:, no other",
			hosts:   []string{"api.example.com", "*.shop.example.com"},
			taken:   []string{"https://api.example.com", "https://api.example.com:443", "http://a.shop.example.com", "http://a.b.shop.example.com:80"},
			refused: []string{"https://example.com", "https://shop.example.com", "https://xapi.example.com", "https://api.example.com:8443", "https://xshop.example.com", "https://api.example.com.evil.com"},
		},
		{
			why:      "with hosts:, our own ports are known for those",
			hosts:    []string{"api.example.com"},
			ownPorts: []uint16{8443},
			taken:    []string{"https://api.example.com:8443", "https://api.example.com"},
			refused:  []string{"https://b.example.com:8443"},
		},
		{
			why:     "a port of hosts: is that host's alone",
			hosts:   []string{"a.com:8443", "b.com", "*.c.com:9443"},
			taken:   []string{"https://a.com:8443", "https://b.com", "https://x.c.com:9443"},
			refused: []string{"https://a.com", "https://b.com:8443", "https://x.c.com", "https://c.com:9443"},
		},
		{
			why:     "443 under hosts: is https without a port",
			hosts:   []string{"a.com:443"},
			taken:   []string{"https://a.com", "https://a.com:443", "http://a.com:443"},
			refused: []string{"http://a.com", "http://a.com:80", "https://a.com:80"},
		},
		{
			why:     "*:port is every host on it",
			hosts:   []string{"*:8443"},
			taken:   []string{"https://a.com:8443", "http://[::1]:8443"},
			refused: []string{"https://a.com:8444"},
		},
	} {
		t.Run(tc.why, func(t *testing.T) {
			hosts, err := ParseHosts(tc.hosts, tc.ownPorts...)
			if err != nil {
				t.Fatal(err)
			}
			check := func(origin string) error {
				scheme, raw, _ := strings.Cut(origin, "://")
				host, port, err := parseHost(raw)
				if err != nil {
					t.Fatal(err)
				}
				return hosts.check(host, port, scheme)
			}
			for _, origin := range tc.taken {
				if err := check(origin); err != nil {
					t.Errorf("%s is refused: %v", origin, err)
				}
			}
			for _, origin := range tc.refused {
				if check(origin) == nil {
					t.Errorf("%s is taken", origin)
				}
			}
		})
	}
}

func TestAnEntryOfHostsThatIsNoHostDoesNotLoad(t *testing.T) {
	for _, entry := range []string{
		"", "*", "*.", "*:", "*:0", "*.*.example.com", "a.*.com", "a.com.", "a.com/", "https://a.com", "a.com, b.com", ".a.com", "a.com:",
		"*.example.com:0", "::1", "[::1", "**.a.com", "*a.com",
	} {
		if _, err := ParseHosts([]string{"ok.example", entry}); err == nil {
			t.Errorf("%q loads", entry)
		} else {
			wantError(t, err, "hosts: ")
		}
	}
}

// An option that does nothing is a load error: there is no host below an address.
func TestNoHostLiesBelowAnAddress(t *testing.T) {
	for _, host := range []string{"*.192.0.2.1", "*.[::1]"} {
		if _, err := ParseHosts([]string{host}); err == nil {
			t.Errorf("hosts: %q loads and can match nothing", host)
		}
		if _, err := parsePattern(host + "/"); err == nil {
			t.Errorf("pattern %q loads and can match nothing", host+"/")
		}
	}
}

func TestARouteWhoseHostIsShutOut(t *testing.T) {
	h, err := ParseHosts([]string{"api.example.com", "*.shop.example.com:8443", "*:9000"})
	if err != nil {
		t.Fatal(err)
	}
	for match, want := range map[string]bool{
		"/a": true, "GET /a": true, "api.example.com/a": true, "GET api.example.com/a": true, "*.example.com/a": true, "*.shop.example.com/a": true,
		"x.shop.example.com/a": true, "*.x.shop.example.com/a": true, "no pattern": true,
		"shop.example.com/a": false, "*.api.example.com/a": false, "www.example.org/a": false, "*.example.org/a": false, "xshop.example.com/a": false,
	} {
		if err := h.CheckMatch(match); (err == nil) != want {
			t.Errorf("%s: %v", match, err)
		}
	}
	for _, all := range [][]string{nil, {"*:9000"}} {
		if h, err := ParseHosts(all); err != nil || h.CheckMatch("www.example.org/a") != nil {
			t.Errorf("%v takes every host: %v", all, err)
		}
	}
}

func TestAStarForEveryHostIsTold(t *testing.T) {
	if _, err := ParseHosts([]string{"*"}); err == nil || !strings.Contains(err.Error(), "leave it out") {
		t.Error(err)
	}
	if _, err := ParseHosts([]string{"https://api.example.com"}); err == nil || !strings.Contains(err.Error(), "no scheme") {
		t.Error(err)
	}
	if _, err := parsePattern("GET */a"); err == nil || !strings.Contains(err.Error(), "leave the * out") {
		t.Error(err)
	}
}
