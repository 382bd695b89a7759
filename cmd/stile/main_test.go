package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// The scripts below testdata/script run the real main, and read as documentation.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"stile": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", env.Getenv("PATH")+string(os.PathListSeparator)+os.Getenv("PATH"))
			for _, name := range []string{"AUTH", "ADMIN"} { // free addresses, for scripts that serve
				addr, err := freeAddress()
				if err != nil {
					return err
				}
				env.Setenv(name, addr)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"ready": ready, "answers": answers, "field": field},
	})
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// ready waits until the server at $ADMIN is.
func ready(ts *testscript.TestScript, _ bool, _ []string) {
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	deadline := time.After(20 * time.Second)
	for {
		if resp, err := http.Get("http://" + ts.Getenv("ADMIN") + "/readyz"); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-deadline:
			ts.Fatalf("the server does not become ready")
		case <-look.C:
		}
	}
}

// answers STATUS PATH KEY asks the server at $AUTH as Traefik does.
func answers(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: answers STATUS PATH KEY")
	}
	req, err := http.NewRequest(http.MethodGet, "http://"+ts.Getenv("AUTH")+"/auth/traefik", http.NoBody)
	ts.Check(err)
	for name, value := range map[string]string{
		"X-Forwarded-Method": "GET", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "api.example.com",
		"X-Forwarded-Uri": args[1], "X-Forwarded-For": "203.0.113.7", "X-API-Key": args[2],
	} {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	ts.Check(err)
	_ = resp.Body.Close()
	if got := fmt.Sprint(resp.StatusCode); got != args[0] {
		ts.Fatalf("%s with %s: %s, want %s", args[1], args[2], got, args[0])
	}
}

// field NAME VARIABLE keeps a field of the JSON object that the last command printed.
func field(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: field NAME VARIABLE")
	}
	var printed map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &printed))
	ts.Setenv(args[1], fmt.Sprint(printed[args[0]]))
}
