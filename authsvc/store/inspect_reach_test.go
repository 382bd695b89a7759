package store_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

// Why a server cannot be used is told apart, and so is what to change.
func TestInspectReach(t *testing.T) {
	server := storetest.StartRedis(t)
	gone := storetest.StartRedis(t)
	gone.Kill()
	locked := storetest.StartRedis(t, storetest.ACL(t, shippedACL)...)
	secure := storetest.StartTLS(t)
	_, options, _ := strings.Cut(secure.URL, "?")
	var withoutClient []string
	for option := range strings.SplitSeq(options, "&") {
		if strings.HasPrefix(option, "ca_file") {
			withoutClient = append(withoutClient, option)
		}
	}
	for name, tt := range map[string]struct {
		url   string
		words []string
	}{
		"nothing listens":  {gone.URL, []string{"refused: nothing listens at " + gone.Addr, "start it"}},
		"no such name":     {"redis://no-such-host.invalid", []string{"no-such-host.invalid leads to no address", "DNS"}},
		"no password":      {"redis://" + locked.Addr, []string{"wants a password", "USER:PASSWORD@HOST", "%2F"}},
		"wrong password":   {as(t, locked.URL, "stile", "s3cret"), []string{"no user stile with this password", "ACL SETUSER stile on >PASSWORD"}},
		"unknown user":     {as(t, locked.URL, "nobody", "s3cret"), []string{"no user nobody with this password"}},
		"no right to it":   {locked.URL + "/3", []string{"may not do what every connection begins with", "+select"}},
		"no such database": {server.URL + "/99", []string{"no database 99", "databases"}},
		"not a cluster":    {"redis+cluster://" + server.Addr, []string{"no node of a cluster", "in store: redis://" + server.Addr}},
		"not a Sentinel":   {"redis+sentinel://" + server.Addr + "/main", []string{"not a Sentinel", "redis://" + server.Addr}},
		"TLS to plain":     {"rediss://" + server.Addr, []string{"does not speak TLS", "redis:// instead"}},
		"plain to TLS":     {"redis://" + secure.Addr, []string{"speaks TLS at this port", "rediss:// instead"}},
		"unknown CA":       {"rediss://" + secure.Addr, []string{"CA that is not trusted", "?ca_file="}},
		"another name":     {secure.URL + "&server_name=other.test", []string{"certificate is for redis.test, 127.0.0.1, not for other.test", "?server_name=redis.test"}},
		"no certificate":   {"rediss://" + secure.Addr + "?" + strings.Join(withoutClient, "&"), []string{"refuses our certificate", "?cert_file=", "tls-auth-clients no"}},
	} {
		t.Run(name, func(t *testing.T) {
			in := inspect(t, tt.url)
			wantFinding(t, in, "reach", store.LevelFail, tt.words...)
			if len(in.Checks) != 1 {
				t.Errorf("more than that it is out of reach:\n%s", lines(in))
			}
		})
	}
	wantFinding(t, inspect(t, secure.URL), "reach", store.LevelOK)
}

// A server that hangs is told from a way that leads nowhere, soon.
func TestInspectFrozen(t *testing.T) {
	server := storetest.StartRedis(t)
	host, port, _ := net.SplitHostPort(server.Addr)
	server.Freeze()
	defer server.Thaw()
	start := time.Now()
	in := inspect(t, server.URL)
	wantFinding(t, in, "reach", store.LevelFail, "takes connections and does not answer within 1s", "-h "+host+" -p "+port)
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
}

// A server that hangs after it was reached is waited for no longer than is promised.
func TestInspectFreezes(t *testing.T) {
	server := storetest.StartRedis(t)
	between := storetest.StartProxy(t, server.Addr)
	between.Delay(50 * time.Millisecond)
	timer := time.AfterFunc(time.Second, between.Freeze)
	defer timer.Stop()
	defer between.Thaw()
	in := inspect(t, between.URL)
	wantFinding(t, in, "reach", store.LevelOK)
	if in.Count(store.LevelFail) == 0 {
		t.Errorf("nothing fails:\n%s", lines(in))
	}
}

// One that reads its data, as a replica does with what its master has.
func TestInspectLoading(t *testing.T) {
	master := storetest.StartRedis(t)
	for i := range 2000 {
		do(t, master, "set", i, strings.Repeat("x", 1000))
	}
	loads := storetest.StartRedis(t, "--key-load-delay", "5000", "--loading-process-events-interval-bytes", "1024")
	host, port, _ := net.SplitHostPort(master.Addr)
	do(t, loads, "replicaof", host, port)
	storetest.Eventually(t, "it loads", func() bool {
		err := loads.Admin().Ping(t.Context()).Err()
		return err != nil && strings.HasPrefix(err.Error(), "LOADING")
	})
	wantFinding(t, inspect(t, loads.URL), "reach", store.LevelFail, "reading its data", "loading_eta_seconds")
}

func TestInspectBusy(t *testing.T) {
	server := storetest.StartRedis(t, "--busy-reply-threshold", "10")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Admin().Eval(ctx, "while true do end", nil).Err()
	}()
	defer func() { cancel(); <-ended }()
	storetest.Eventually(t, "it is busy", func() bool {
		err := server.Admin().Ping(t.Context()).Err()
		return err != nil && strings.HasPrefix(err.Error(), "BUSY")
	})
	wantFinding(t, inspect(t, server.URL), "reach", store.LevelFail, "a script runs", "script kill")
	do(t, server, "script", "kill")
}
