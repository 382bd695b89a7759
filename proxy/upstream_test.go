package proxy

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stile-gate/stile/policy"
	"github.com/stile-gate/stile/tests/servers"
)

// An upstream that does not answer is no decision of ours: 502, and nothing of why.
func TestAnUpstreamThatDoesNotAnswerIs502(t *testing.T) {
	for what, addr := range map[string]string{
		"nobody listens":             "",
		"it hangs up":                answering(t, ""),
		"it answers no HTTP":         answering(t, "SSH-2.0-OpenSSH_9.2\r\n"),
		"its head is cut short":      answering(t, "HTTP/1.1 200 OK\r\nContent-Le"),
		"its head is of a megabyte":  answering(t, "HTTP/1.1 200 OK\r\nX-A: "+strings.Repeat("a", 11<<20)+"\r\n\r\n"),
		"it says 101 to a plain GET": answering(t, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
		"it says two lengths":        answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
	} {
		g, target := run(t, leadingTo(addr)), "/other/x"
		if addr == "" {
			target = "/down/x"
		}
		resp := g.get(t, target, "X-Request-Id: r-1")
		var p policy.Problem
		if err := json.Unmarshal([]byte(resp.Body), &p); err != nil {
			t.Errorf("%s: body %q: %v", what, resp.Body, err)
		}
		if resp.Status != http.StatusBadGateway || p.Status != resp.Status || p.Type != "about:blank" || p.RequestID != "r-1" || p.Detail != "" ||
			resp.Header.Get("Content-Type") != "application/problem+json" || resp.Header.Get("X-Request-Id") != "r-1" {
			t.Errorf("%s: %d %v %s", what, resp.Status, resp.Header, resp.Body)
		}
		for _, secret := range []string{"127.0.0.1", "dial", "refused", "malformed", "SSH"} {
			if strings.Contains(resp.Body, secret) {
				t.Errorf("%s: the client learns %q", what, resp.Body)
			}
		}
	}
	g := run(t)
	if resp := g.get(t, "/nowhere/x"); resp.Status != http.StatusBadGateway {
		t.Errorf("a route whose upstream is missing: %d", resp.Status)
	}
	g.refuse(t, request("GET /down"), policy.NoRoute) // refused before anybody is dialled
}

// The client hears identity and request id from us alone, and a proxy before us is not
// told by an upstream where to send the request.
func TestAnUpstreamDoesNotSpeakInOurName(t *testing.T) {
	names := append(policy.IdentityHeaders(), "X-Consumer-Role", "x_consumer_id", "X.Consumer.Id", "X-Stile-Status", "X-Stile-Reason", "X-Accel-Redirect")
	var head, trailer strings.Builder
	for _, name := range names {
		head.WriteString(name + ": forged\r\n")
		trailer.WriteString(name + ": forged\r\n")
	}
	for what, raw := range map[string]string{
		"in the head":         "HTTP/1.1 200 OK\r\nX-Request-Id: forged\r\n" + head.String() + "Content-Length: 2\r\nX-Kept: yes\r\n\r\nhi",
		"by a Connection":     "HTTP/1.1 200 OK\r\nConnection: X-Request-Id, close\r\nX-Request-Id: forged\r\nContent-Length: 2\r\nX-Kept: yes\r\n\r\nhi",
		"in an error":         "HTTP/1.1 500 Oops\r\n" + head.String() + "Content-Length: 2\r\nX-Kept: yes\r\n\r\nhi",
		"in early hints":      "HTTP/1.1 103 Early Hints\r\n" + head.String() + "\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Kept: yes\r\n\r\nhi",
		"in a trailer":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Kept: yes\r\nTrailer: " + strings.Join(names, ", ") + "\r\n\r\n2\r\nhi\r\n0\r\n" + trailer.String() + "\r\n",
		"in a trailer untold": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Kept: yes\r\n\r\n2\r\nhi\r\n0\r\n" + trailer.String() + "\r\n",
	} {
		g := run(t, leadingTo(answering(t, raw)))
		whole := g.whole(t, request("GET /other/x", "X-Request-Id: r-1", "Connection: close"))
		if !strings.Contains(whole, "X-Kept: yes\r\n") || !strings.Contains(whole, "hi") || strings.Count(whole, "X-Request-Id: r-1\r\n") != 1 {
			t.Errorf("%s: %q", what, whole)
		}
		if strings.Contains(whole, "forged") {
			t.Errorf("%s: the client gets %q", what, whole)
		}
	}
}

// What is not ours is passed as it is.
func TestAnAnswerIsPassedAsItIs(t *testing.T) {
	for _, raw := range []string{
		"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nX-A: b\r\n\r\ngone",
		"HTTP/1.1 302 Found\r\nLocation: //elsewhere.test/\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"app\"\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nSet-Cookie: a=1; HttpOnly\r\nSet-Cookie: b=2\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi",
		"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08",
		"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n",
	} {
		g := run(t, leadingTo(answering(t, raw)))
		got := g.get(t, "/other/x")
		head, body, _ := strings.Cut(raw, "\r\n\r\n")
		lines := strings.Split(head, "\r\n")
		if got.Body != body || !strings.Contains(lines[0], http.StatusText(got.Status)) && got.Status != http.StatusServiceUnavailable {
			t.Errorf("of %q, the client gets %d %q", raw, got.Status, got.Body)
		}
		for _, line := range lines[1:] {
			name, value, _ := strings.Cut(line, ": ")
			if !contains(got.Header[http.CanonicalHeaderKey(name)], value) {
				t.Errorf("of %q, the client gets %s: %q", line, name, got.Header[http.CanonicalHeaderKey(name)])
			}
		}
	}
}

func contains(values []string, want string) bool {
	for _, v := range values {
		if v == want {
			return true
		}
	}
	return false
}

// An allowed request to a good upstream, and what the log does not say of it.
func TestTheLogOfAFailureHoldsNoSecret(t *testing.T) {
	g := run(t)
	servers.Send(t, g.addr, request("GET /down/x?api_key=S3cret", "X-Api-Key: S3cret", "Cookie: stile_key=S3cret", "Authorization: Bearer S3cret"))
	if strings.Contains(g.logged.String(), "S3cret") || !strings.Contains(g.logged.String(), "upstream failed") {
		t.Errorf("the log says %s", g.logged.String())
	}
}
