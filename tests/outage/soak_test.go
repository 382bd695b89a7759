package outage

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stile-gate/stile/authsvc/store/storetest"
)

// use is what a process takes of its machine.
type use struct{ memory, goroutines, files float64 }

// TestSoak runs the load for STILE_SOAK (10m in make soak) on a cluster of which a master is
// killed and started again each minute. What stile takes must not grow.
func TestSoak(t *testing.T) {
	whole, err := time.ParseDuration(os.Getenv("STILE_SOAK"))
	if err != nil {
		t.Skip("STILE_SOAK is no duration; make soak sets it")
	}
	c := storetest.StartCluster(t, 3, 0, append(durable(), "--cluster-require-full-coverage", "no")...)
	s := newStand(t, c.URL)
	s.fill(t)
	l := startLoad(s)
	table := &strings.Builder{}
	w := tabwriter.NewWriter(table, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "minute\tresident\tgoroutines\topen files")
	var uses []use
	for begun := time.Now(); time.Since(begun) < whole; {
		minute := time.Now()
		victim := c.Nodes[len(uses)%len(c.Nodes)]
		wait(20 * time.Second)
		victim.Kill()
		wait(20 * time.Second)
		victim.Restart(t)
		c.WaitWhole(t)
		storetest.Eventually(t, "all is well", func() bool { state, _ := s.state(t); return state == "ok" })
		wait(time.Minute - time.Since(minute))
		u := s.use(t)
		uses = append(uses, u)
		_, _ = fmt.Fprintf(w, "%d\t%.1f MiB\t%.0f\t%.0f\n", len(uses), u.memory/(1<<20), u.goroutines, u.files)
	}
	l.end()
	_ = w.Flush()
	t.Logf("%d requests, p99 %v:\n%s", l.asked, l.quantile(healthy, 0.99), table)
	for what, n := range l.wrong {
		t.Errorf("wrong %d times: %s", n, what)
	}
	flat(t, uses)
}

// fill has the cache remember as many unknown keys as it may: what it takes is bounded, and
// not to be mistaken for growth.
func (s *stand) fill(t testing.TB) {
	t.Helper()
	var askers sync.WaitGroup
	for range workers {
		askers.Go(func() {
			for range 25_000 / workers {
				if status, _, err := s.ask("/open", stranger()); err != nil || status != http.StatusUnauthorized {
					t.Errorf("a stranger: %d, %v", status, err)
					return
				}
			}
		})
	}
	askers.Wait()
}

// flat compares the end with what was taken when everything had been seen once.
func flat(t *testing.T, uses []use) {
	if len(uses) < 5 {
		t.Fatalf("%d minutes say nothing", len(uses))
	}
	early, late := uses[2], uses[len(uses)-1]
	for what, of := range map[string]func(use) float64{
		"resident memory": func(u use) float64 { return u.memory },
		"goroutines":      func(u use) float64 { return u.goroutines },
		"open files":      func(u use) float64 { return u.files },
	} {
		if of(late) > 1.15*of(early) {
			t.Errorf("%s grew from %.0f to %.0f", what, of(early), of(late))
		}
	}
}

// use reads it from the metrics.
func (s *stand) use(t testing.TB) use {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+s.Admin+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	values := map[string]float64{}
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if name, text, ok := strings.Cut(lines.Text(), " "); ok {
			values[name], _ = strconv.ParseFloat(text, 64)
		}
	}
	u := use{values["process_resident_memory_bytes"], values["go_goroutines"], values["process_open_fds"]}
	if u.memory == 0 || u.goroutines == 0 || u.files == 0 {
		t.Fatal("the metrics do not say what the process takes")
	}
	return u
}
