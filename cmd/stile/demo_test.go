package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stile-gate/stile/cmd/stile/config"
)

func freePorts() config.Listen {
	return config.Listen{Auth: "127.0.0.1:0", Proxy: "127.0.0.1:0", Admin: "127.0.0.1:0"}
}

// demo runs the demo until the test ends and returns what it prints until it has said all.
func demo(t *testing.T, asJSON bool, last string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- runDemo(ctx, w, io.Discard, freePorts(), asJSON)
		_ = w.Close()
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	var text strings.Builder
	for lines := bufio.NewScanner(r); lines.Scan(); {
		text.WriteString(lines.Text() + "\n")
		if strings.HasPrefix(lines.Text(), last) {
			return text.String()
		}
	}
	t.Fatalf("the demo ended early:\n%s", text.String())
	return ""
}

// The lines that the demo prints do what they say when they are pasted.
func TestDemoLinesWorkWhenPasted(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("no curl here")
	}
	text := demo(t, false, "Ctrl-C")
	want := []int{200, 401, 403, 200, 200, 201, 201}
	status := regexp.MustCompile(`(?m)^HTTP/1\.1 (\d{3})`)
	commands := regexp.MustCompile(`(?m)^curl (?:.*\\\n)*.*$`).FindAllString(text, -1)
	if len(commands) != len(want) {
		t.Fatalf("%d commands:\n%s", len(commands), text)
	}
	for i, command := range commands {
		out, err := exec.Command("sh", "-c", strings.Replace(command, "curl -s ", "curl -i ", 1)).Output()
		if err != nil {
			t.Fatalf("%s: %v", command, err)
		}
		if got := status.FindSubmatch(out); got == nil || string(got[1]) != strconv.Itoa(want[i]) {
			t.Errorf("%s\nanswers\n%s\nwant %d", command, out, want[i])
		}
		if i == 0 && (!bytes.Contains(out, []byte(`"X-Consumer-Id"`)) || bytes.Contains(out, []byte("stile_"))) {
			t.Errorf("the sample upstream does not show the identity, or shows the key:\n%s", out)
		}
	}
}

func TestDemoJSON(t *testing.T) {
	var info map[string]string
	if err := json.Unmarshal([]byte(demo(t, true, "{")), &info); err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"auth", "proxy", "admin", "key", "token", "admin_token"} {
		if info[field] == "" {
			t.Errorf("no %s in %v", field, info)
		}
	}
	if len(info) != 6 {
		t.Errorf("%d fields: %v", len(info), info)
	}
	resp, err := http.Get(info["admin"] + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("it printed before it was ready: %s", resp.Status)
	}
}

func TestDemoListensOnLoopbackAlone(t *testing.T) {
	l := freePorts()
	l.Proxy = "0.0.0.0:0"
	if err := runDemo(t.Context(), io.Discard, io.Discard, l, true); err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("got %v", err)
	}
}
