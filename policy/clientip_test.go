package policy

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// proxies are our own: a network of each family.
var proxies = Prefixes{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}

func TestTheClientIsTheLastAddressThatIsNotOneOfOurOwn(t *testing.T) {
	for _, tc := range []struct{ why, chain, want string }{
		{"one address", "192.0.2.1", "192.0.2.1"},
		{"a client's own claim to its left does not count", "127.0.0.1, 192.0.2.1", "192.0.2.1"},
		{"proxies of ours to its right are passed over", "198.51.100.9, 192.0.2.1, 10.1.1.1, 10.2.2.2", "192.0.2.1"},
		{"an address of ours to its left is a claim like any other", "10.9.9.9, 192.0.2.1, 10.1.1.1", "192.0.2.1"},
		{"all of them ours: the first", "10.3.3.3, 10.1.1.1", "10.3.3.3"},
		{"spaces and tabs do not count", " 192.0.2.1 ,\t10.1.1.1 ", "192.0.2.1"},
		{"no spaces either", "198.51.100.9,192.0.2.1,10.1.1.1", "192.0.2.1"},
		{"IPv6", "2001:db8::1, fd00::2", "2001:db8::1"},
		{"IPv4 mapped into IPv6 is IPv4", "::ffff:192.0.2.1", "192.0.2.1"},
		{"and one of ours when it is mapped", "192.0.2.1, ::ffff:10.1.1.1", "192.0.2.1"},
	} {
		t.Run(tc.why, func(t *testing.T) {
			got, err := proxies.ClientIP(tc.chain)
			if err != nil || got.String() != tc.want {
				t.Errorf("%q: client %s (%v), want %s", tc.chain, got, err, tc.want)
			}
		})
	}
}

func TestAChainIsRefused(t *testing.T) {
	for why, chains := range map[string][]string{
		"that is empty":                    {"", " ", ",", "192.0.2.1,", ",192.0.2.1", "192.0.2.1,,10.1.1.1"},
		"with text":                        {"unknown", "_hidden", "localhost", "127.0.0.1, spoof", "spoof, 192.0.2.1", "spoof, 192.0.2.1, 10.1.1.1"},
		"with a port":                      {"192.0.2.1:80", "[::1]:80", "192.0.2.1:80, 10.1.1.1"},
		"with brackets or quotes":          {"[::1]", `"192.0.2.1"`, "for=192.0.2.1"},
		"with a zone":                      {"fe80::1%eth0", "192.0.2.1, fe80::1%eth0", "fe80::1%25eth0"},
		"with an address that some decode": {"010.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "192.0.2.256", "1.2.3.4.5", "192.0.2.1/32"},
		"split at something else":          {"192.0.2.1 10.1.1.1", "192.0.2.1;10.1.1.1", "192.0.2.1\n10.1.1.1"},
		"of more hops than are real": {
			strings.Repeat("192.0.2.1,", maxHops) + "10.1.1.1", strings.Repeat("192.0.2.1, ", 10_000) + "10.1.1.1",
		},
	} {
		t.Run(why, func(t *testing.T) {
			for _, chain := range chains {
				if got, err := proxies.ClientIP(chain); err == nil {
					t.Errorf("%.60q is taken, as %s", chain, got)
				} else if got.IsValid() {
					t.Errorf("%.60q is refused and yet gives %s", chain, got)
				}
			}
		})
	}
}

func TestTheLongestChainIsTaken(t *testing.T) {
	chain := "192.0.2.1" + strings.Repeat(", 10.1.1.1", maxHops-1)
	if got, err := proxies.ClientIP(chain); err != nil || got.String() != "192.0.2.1" {
		t.Errorf("%s (%v)", got, err)
	}
}

func TestNothingAClientPutsInFrontChangesItsAddress(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		address := rapid.SampledFrom([]string{"192.0.2.1", "10.1.1.1", "::1", "127.0.0.1", "fd00::2", "::ffff:10.0.0.1"})
		front := strings.Join(rapid.SliceOfN(address, 1, 10).Draw(t, "front"), ", ")
		behind := strings.Repeat(", 10.1.1.1", rapid.IntRange(0, 5).Draw(t, "hops"))
		got, err := proxies.ClientIP(front + ", 203.0.113.5" + behind)
		if err != nil || got.String() != "203.0.113.5" {
			t.Fatalf("client is %s (%v)", got, err)
		}
	})
}

func TestTrustNobody(t *testing.T) {
	var nobody Prefixes
	for _, addr := range []string{"127.0.0.1", "::1", "10.1.1.1"} {
		if nobody.Contain(netip.MustParseAddr(addr)) {
			t.Errorf("no network contains %s", addr)
		}
	}
	if got, err := nobody.ClientIP("127.0.0.1, 192.0.2.1"); err != nil || got.String() != "192.0.2.1" {
		t.Errorf("%s (%v)", got, err)
	}
	if proxies.Contain(netip.Addr{}) {
		t.Error("an address that is none is one of ours")
	}
}

func FuzzClientIP(f *testing.F) {
	for _, chain := range []string{"192.0.2.1", "10.1.1.1, 192.0.2.1", "", ",", "::ffff:10.0.0.1", "fe80::1%eth0", "192.0.2.1:80, spoof"} {
		f.Add(chain)
	}
	f.Fuzz(func(t *testing.T, chain string) {
		got, err := proxies.ClientIP(chain)
		if (err == nil) != got.IsValid() || got.Zone() != "" || got.Is4In6() {
			t.Fatalf("%q is %s (%v)", chain, got, err)
		}
		if err != nil {
			return
		}
		if behind, err := proxies.ClientIP(chain + ", 203.0.113.5"); err == nil && behind.String() != "203.0.113.5" {
			t.Errorf("%q makes a client behind it %s", chain, behind)
		}
	})
}
