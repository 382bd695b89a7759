package servers

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// Root is the folder of the whole project.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

var buildOnce = sync.OnceValues(build)

// Build compiles ./cmd/stile, once in a test process, and returns the binary's path.
func Build(t testing.TB) string {
	t.Helper()
	path, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// build writes below bin/, which git ignores. Test processes that build at the same time
// make the same binary; the rename lets each start it while another replaces it.
func build() (string, error) {
	path := filepath.Join(Root(), "bin", "tests", "stile")
	fresh := fmt.Sprintf("%s-%d", path, os.Getpid())
	cmd := command("go", "build", "-o", fresh, "./cmd/stile")
	cmd.Dir = Root()
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/stile: %w\n%s", err, out)
	}
	return path, os.Rename(fresh, path)
}

// StileProcess is a running `stile serve`, with the addresses of its listeners.
type StileProcess struct {
	*Process
	Auth, Proxy, Admin string // host:port, whether the configuration uses it or not
	Config             string // path of its stile.yaml
}

// AdminToken is what every stile here takes on its admin API.
const AdminToken = "a-token-for-tests-and-nothing-else"

// Stile runs `stile serve` on a configuration, in which @AUTH@, @PROXY@ and @ADMIN@ stand
// for the addresses of the listeners, and waits until it is ready. Env holds NAME=value.
func Stile(t testing.TB, yaml string, env ...string) *StileProcess {
	t.Helper()
	s := &StileProcess{Auth: Free(t), Proxy: Free(t), Admin: Free(t), Config: filepath.Join(t.TempDir(), "stile.yaml")}
	yaml = strings.NewReplacer("@AUTH@", s.Auth, "@PROXY@", s.Proxy, "@ADMIN@", s.Admin).Replace(yaml)
	if err := os.WriteFile(s.Config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := command(Build(t), "serve", "-c", s.Config)
	cmd.Env = append(append(os.Environ(), "STILE_ADMIN_TOKEN="+AdminToken), env...)
	s.Process = start(t, "stile", cmd, s.ready)
	s.Addr = s.Auth
	return s
}

func (s *StileProcess) ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Admin+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("/readyz answers %s", resp.Status)
	}
	return nil
}

// Redis runs an empty Redis that keeps nothing.
func Redis(t testing.TB) *Process {
	t.Helper()
	addr := Free(t)
	host, port, _ := strings.Cut(addr, ":")
	cmd := command(Program(t, "redis-server"), "--bind", host, "--port", port, "--save", "", "--appendonly", "no")
	cmd.Dir = t.TempDir()
	p := start(t, "redis", cmd, listens(addr))
	p.Addr = addr
	return p
}
