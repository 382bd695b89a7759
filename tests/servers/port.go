package servers

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

var (
	portsMu    sync.Mutex
	portsTaken = map[int]bool{}
)

// Free is a loopback address on which nobody listens. Its port lies below those that the
// kernel gives to outgoing connections, so none of these takes it before the program that
// it is for, and no two calls return the same.
func Free(t testing.TB) string {
	t.Helper()
	portsMu.Lock()
	defer portsMu.Unlock()
	for range 1000 {
		port := 10_000 + rand.IntN(22_000)
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", addr)
		if err != nil || portsTaken[port] {
			continue
		}
		_ = l.Close()
		portsTaken[port] = true
		return addr
	}
	t.Fatal("no free port")
	return ""
}
