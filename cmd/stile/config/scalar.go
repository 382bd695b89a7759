package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"strconv"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/stile-gate/stile/policy"
)

// scalarForm is the form of a type that is written as one scalar, or "".
func scalarForm(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[string](), reflect.TypeFor[policy.Secret]():
		return "a string"
	case reflect.TypeFor[bool]():
		return "true or false"
	case reflect.TypeFor[int]():
		return "a whole number"
	case reflect.TypeFor[time.Duration]():
		return "a duration such as 30s"
	case reflect.TypeFor[time.Time]():
		return "a time such as 2027-01-01T00:00:00Z"
	case reflect.TypeFor[netip.Prefix]():
		return "a network such as 10.0.0.0/8, or an address"
	case reflect.TypeFor[*url.URL]():
		return "a URL"
	case reflect.TypeFor[policy.Rate]():
		return "a rate such as 60/min"
	case reflect.TypeFor[policy.Quota]():
		return "a quota such as 100000/month"
	case reflect.TypeFor[policy.Per]():
		return "consumer, key, ip, route or claim:<path>"
	}
	return ""
}

func isScalar(t reflect.Type) bool { return scalarForm(t) != "" }

// expected names what is wanted where a type stands.
func expected(t reflect.Type) string {
	switch form := scalarForm(t); {
	case form != "":
		return form
	case t == reflect.TypeFor[policy.Prefixes]():
		return "a list of networks"
	case t == reflect.TypeFor[policy.Encoded](), t == reflect.TypeFor[[]string]():
		return "a list of strings"
	case t.Kind() == reflect.Slice:
		return "a list of mappings"
	case t == reflect.TypeFor[Throttle]():
		return "a mapping or off"
	}
	return "a mapping"
}

// found names what a node is.
func found(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!timestamp":
		return "a time"
	}
	return "a string"
}

// errForm is an error of parseScalar that has nothing to add.
var errForm = errors.New("not of the form")

// scalar reads a scalar, its ${…} expanded, into a value whose type isScalar.
func (d *decoder) scalar(n *yaml.Node, v reflect.Value) {
	t := v.Type()
	secret := t == reflect.TypeFor[policy.Secret]()
	switch {
	case n.Kind != yaml.ScalarNode:
		d.wrong("expected %s, found %s", expected(t), found(n))
		return
	case (secret || t.Kind() == reflect.String) && n.ShortTag() != "!!str":
		d.wrong("expected a string, found %s; put it in quotes", found(n))
		return
	}
	text := n.Value
	if expands(n) {
		var err error
		if text, err = d.expand(text); err != nil {
			d.wrong("%v", err)
			return
		}
	}
	switch {
	case text == "":
		d.wrong("expected %s, found an empty string", expected(t))
		return
	case !secret && !utf8.ValidString(text):
		d.wrong("expands to text that is not UTF-8")
		return
	}
	if t.Kind() == reflect.String && !d.isHash() {
		if err := d.keys.CheckPlain(text); err != nil {
			d.wrong("%v", err)
			return
		}
	}
	err := parseScalar(text, v)
	switch {
	case err == nil:
	case t == reflect.TypeFor[*url.URL]():
		d.wrong("expected a URL, found %s", quoteURL(n.Value))
	case errors.Is(err, errForm) || expands(n): // what err adds could show the value
		d.wrong("expected %s, found %s", expected(t), quote(n.Value))
	default:
		d.wrong("%s: %v", quote(n.Value), err)
	}
}

// isHash tells whether a hash belongs here. Who has put a key in its place is told that.
func (d *decoder) isHash() bool {
	name := d.path[len(d.path)-1].name
	return name == "hash" || name == "token"
}

// parseScalar stores what text means in the form of the value's type.
func parseScalar(text string, v reflect.Value) error {
	var err error
	switch p := v.Addr().Interface().(type) {
	case *string:
		*p = text
	case *policy.Secret:
		*p = policy.NewSecret(text)
	case *netip.Prefix:
		*p, err = parseNetwork(text)
		return err
	case *policy.Rate:
		*p, err = parseRate(text)
		return err
	case *policy.Quota:
		*p, err = parseQuota(text)
		return err
	case *policy.Per:
		*p, err = parsePer(text)
		return err
	case *bool:
		if *p = text == "true"; !*p && text != "false" {
			return errForm
		}
	case *int:
		*p, err = parseInt(text)
		return err
	case *time.Duration:
		*p, err = time.ParseDuration(text)
	case *time.Time:
		if *p, err = time.Parse(time.RFC3339, text); err == nil && p.IsZero() {
			return errors.New("is what programs write for no time at all; leave it out, or say when")
		}
	case **url.URL:
		*p, err = url.Parse(text)
	}
	if err != nil {
		return errForm // the libraries' words repeat the text
	}
	return nil
}

var decimal = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

// parseInt refuses what some programs read as octal, or do not read at all.
func parseInt(text string) (int, error) {
	if !decimal.MatchString(text) {
		return 0, errForm
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, errors.New("the number is too large") // and not the largest that there is, which Atoi answers
	}
	return n, nil
}

// parseNetwork reads a CIDR without host bits, or an address as a network of one.
func parseNetwork(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			return netip.Prefix{}, errForm
		}
		prefix = netip.PrefixFrom(addr, addr.BitLen())
	}
	if prefix.Addr().Is4In6() {
		return netip.Prefix{}, errors.New("an IPv4 address within IPv6 is written as IPv4")
	}
	if masked := prefix.Masked(); masked != prefix {
		return netip.Prefix{}, fmt.Errorf("host bits are set; write %s", masked)
	}
	return prefix, nil
}
