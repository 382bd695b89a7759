package policy

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Headers that tell an upstream who is calling. The names are Kong's, because people
// already read them. In net/http's canonical form, as they stand in an http.Header.
const (
	HeaderConsumerID       = "X-Consumer-Id"
	HeaderConsumerUsername = "X-Consumer-Username"
	HeaderConsumerCustomID = "X-Consumer-Custom-Id"
	HeaderConsumerGroups   = "X-Consumer-Groups"
	HeaderCredential       = "X-Credential-Identifier"
	HeaderCredentialStatus = "X-Credential-Status" // "rotating", while another takes its place
	HeaderScope            = "X-Authenticated-Scope"
	HeaderAnonymous        = "X-Anonymous-Consumer"
	HeaderRequestID        = "X-Request-Id"
)

// IdentityHeaders lists every header that we may set for an upstream and that no client
// may send. Each is removed from a request before those that apply are set.
func IdentityHeaders() []string {
	return []string{
		HeaderConsumerID, HeaderConsumerUsername, HeaderConsumerCustomID, HeaderConsumerGroups,
		HeaderCredential, HeaderCredentialStatus, HeaderScope, HeaderAnonymous,
	}
}

// IsIdentityHeader tells whether a name, in any spelling that collapses to it, is one of
// the identity headers or of their families.
func IsIdentityHeader(name string) bool {
	if len(name) < len("x-stile-") || foldByte(name[0]) != 'x' || foldByte(name[1]) != '-' {
		return false // most headers, at once
	}
	if c := foldByte(name[2]); c != 'c' && c != 'a' && c != 's' {
		return false // and X-Forwarded-*
	}
	for _, family := range [...]string{"x-consumer-", "x-credential-", "x-authenticated-", "x-stile-"} {
		if hasFoldedPrefix(name, family) {
			return true
		}
	}
	const anonymous = "x-anonymous-consumer"
	return len(name) == len(anonymous) && hasFoldedPrefix(name, anonymous)
}

// hasFoldedPrefix is strings.HasPrefix on the folded name, without building it: it runs
// for every header of every request.
func hasFoldedPrefix(name, prefix string) bool {
	if len(name) < len(prefix) {
		return false
	}
	for i := range len(prefix) {
		if foldByte(name[i]) != prefix[i] {
			return false
		}
	}
	return true
}

// readHeaders are those that a decision is made from, besides an authenticator's own.
func readHeaders() []string {
	return []string{
		"Authorization", "Cookie", "Host", "Connection", "Upgrade", HeaderRequestID,
		"X-Forwarded-Method", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Uri", "X-Forwarded-For",
		"X-Original-Method", "X-Original-Uri", "X-Original-Url",
	}
}

// guard refuses header names that could be taken for one that we read or set.
type guard struct{ read map[string]bool } // folded names

func newGuard(credentialHeaders []string) guard {
	g := guard{read: map[string]bool{}}
	for _, name := range slices.Concat(readHeaders(), credentialHeaders) {
		g.read[foldName(name)] = true
	}
	return g
}

// check refuses identity headers in every spelling, and aliases of headers that we read:
// a CGI upstream takes X_Api_Key, and some take X+Api+Key, for X-Api-Key.
func (g guard) check(h http.Header) error {
	for name := range h {
		if IsIdentityHeader(name) {
			return fmt.Errorf("client sent the identity header %q", clip(name))
		}
		if !IsPlainHeaderName(name) && g.read[foldName(name)] {
			return fmt.Errorf("header %q is an alias of one that is read", clip(name))
		}
	}
	return nil
}

// IsPlainHeaderName tells whether a name consists of letters, digits and hyphens: one that
// every program reads alike.
func IsPlainHeaderName(name string) bool {
	for i := range len(name) {
		if class[name[i]]&plainName == 0 {
			return false
		}
	}
	return true
}

// foldName lower-cases a field name and folds what CGI programs cannot tell from a hyphen:
// _ and . in most, every character but letters and digits in some (lighttpd).
func foldName(name string) string {
	folded := []byte(name)
	for i, c := range folded {
		folded[i] = foldByte(c)
	}
	return string(folded)
}

func foldByte(c byte) byte {
	switch {
	case class[c]&alphanumeric == 0:
		return '-'
	case c >= 'A' && c <= 'Z':
		return c + 'a' - 'A'
	}
	return c
}

// IsForwardingHeader tells headers by which proxies speak of the original request, or by
// which an upstream takes it for another than was judged, in every spelling. Upstreams
// believe them, so no client may write them.
func IsForwardingHeader(name string) bool {
	if hasFoldedPrefix(name, "x-forwarded-") || hasFoldedPrefix(name, "x-original-") {
		return true
	}
	switch foldName(name) {
	case "forwarded", "x-real-ip", "x-scheme", "x-rewrite-url", "x-replaced-path",
		"x-http-method-override", "x-http-method", "x-method-override":
		return true
	}
	return false
}

// CheckCredentialHeader refuses a header name that cannot carry a credential of its own:
// one that HTTP, an edge or we give another meaning.
func CheckCredentialHeader(name string) error {
	if name == "" || !IsPlainHeaderName(name) {
		return fmt.Errorf("%q is not a header name that every program reads alike", name)
	}
	if IsIdentityHeader(name) {
		return fmt.Errorf("header %s is one that we set for upstreams", name)
	}
	folded := foldName(name)
	if newGuard(nil).read[folded] || IsForwardingHeader(name) || slices.Contains([]string{
		"content-length", "transfer-encoding", "te", "trailer", "keep-alive", "proxy-connection", "proxy-authorization",
		"expect", "content-type", "accept", "user-agent", "traceparent",
	}, folded) {
		return fmt.Errorf("header %s has a meaning of its own and cannot carry a key", name)
	}
	return nil
}

// single returns the value of a header that may stand once at most.
func single(h http.Header, name string) (string, error) {
	switch values := h[name]; len(values) {
	case 0:
		return "", nil
	case 1:
		return values[0], nil
	default:
		return "", Refuse(BadRequest, "header %s stands %d times", name, len(values))
	}
}

// Single returns the value of a header that may stand once at most, "" when it is
// absent. The name is in canonical form. A second one is a BadRequest.
func (r *Request) Single(name string) (string, error) { return single(r.Header, name) }

// HeaderValue writes text so that it is one field value and reads the same everywhere:
// bytes outside printable ASCII, commas, the percent sign and outer spaces are %XX escapes.
func HeaderValue(text string) string {
	for i := range len(text) {
		if escapeInValue(text, i) {
			return rewriteValue(text)
		}
	}
	return text
}

func escapeInValue(text string, i int) bool {
	c := text[i]
	outer := c == ' ' && (i == 0 || i == len(text)-1)
	return c < 0x20 || c > 0x7E || c == '%' || c == ',' || outer
}

func rewriteValue(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if escapeInValue(text, i) {
			writeEscape(&b, text[i])
		} else {
			b.WriteByte(text[i])
		}
	}
	return b.String()
}

// HeaderList writes a list, each element as HeaderValue does, comma and space between.
func HeaderList(elements []string) string {
	switch len(elements) {
	case 0:
		return ""
	case 1:
		return HeaderValue(elements[0])
	}
	escaped := make([]string, len(elements))
	for i, e := range elements {
		escaped[i] = HeaderValue(e)
	}
	return strings.Join(escaped, ", ")
}

// scopeValue writes scopes as RFC 6749 §3.3 does, a space between. One that is empty is
// none, and a space within one is escaped, so that it does not become two.
func scopeValue(scopes []string) string {
	var b strings.Builder
	for _, scope := range scopes {
		if scope == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(strings.ReplaceAll(HeaderValue(scope), " ", "%20"))
	}
	return b.String()
}

// clip bounds text that a stranger chose before it goes into a log.
func clip(s string) string { return clipTo(s, 128) }

func clipTo(s string, limit int) string {
	if len(s) > limit {
		return s[:limit] + "…"
	}
	return s
}
