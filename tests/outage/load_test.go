package outage

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// question is one kind of request of the load, and the statuses that policy allows it.
type question struct {
	name  string
	path  string
	key   func(s *stand, i int) (key, bool) // false when there is none left
	right []int
	warm  bool // of a consumer who is known: its time counts
	slow  int  // every how many rounds it is asked
}

// Unavailable is right where it cannot be known, and only there.
func questions() []question {
	known := func(s *stand, i int) (key, bool) { return s.warm[i%len(s.warm)], true }
	return []question{
		{"known", "/open", known, []int{http.StatusOK}, true, 1},
		{"forbidden", "/staff", known, []int{http.StatusForbidden}, true, 1},
		{"limited", "/limited", func(s *stand, _ int) (key, bool) { return s.counted, true }, []int{http.StatusOK}, true, 1},
		{"strict limit", "/strict", func(s *stand, _ int) (key, bool) { return s.strict, true }, []int{http.StatusOK, http.StatusServiceUnavailable}, false, 4},
		{"revoked", "/open", func(s *stand, _ int) (key, bool) { return s.revoked, true }, []int{http.StatusUnauthorized, http.StatusServiceUnavailable}, false, 4},
		{"stranger", "/open", func(*stand, int) (key, bool) { return stranger(), true }, []int{http.StatusUnauthorized, http.StatusServiceUnavailable}, false, 4},
		{"never seen", "/open", func(s *stand, _ int) (key, bool) {
			select {
			case k := <-s.cold:
				return k, true
			default:
				return key{}, false
			}
		}, []int{http.StatusOK, http.StatusServiceUnavailable}, false, 200},
	}
}

// load asks all questions again and again.
type load struct {
	stand   *stand
	stop    chan struct{}
	workers sync.WaitGroup
	phase   atomic.Int32
	counted atomic.Int64 // requests on the counted key that were let in

	mu    sync.Mutex
	took  map[int32][]time.Duration // of warm questions, by phase
	asked int
	wrong map[string]int // "what: status" that policy does not allow
}

// Phases of a load.
const (
	healthy int32 = iota
	during
	after
)

const (
	workers = 8
	pace    = 4 * time.Millisecond // of one worker
)

func startLoad(s *stand) *load {
	l := &load{stand: s, stop: make(chan struct{}), took: map[int32][]time.Duration{}, wrong: map[string]int{}}
	for n := range workers {
		l.workers.Go(func() { l.work(n) })
	}
	return l
}

func (l *load) work(n int) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	all := questions()
	for i := n; ; i++ {
		select {
		case <-l.stop:
			return
		case <-tick.C:
		}
		q := all[i%len(all)]
		if round := i / len(all); round%q.slow != 0 {
			q = all[i%3]
		}
		l.ask(q, i)
	}
}

func (l *load) ask(q question, i int) {
	k, ok := q.key(l.stand, i)
	if !ok {
		return
	}
	phase, start := l.phase.Load(), time.Now()
	status, _, err := l.stand.ask(q.path, k)
	took := time.Since(start)
	if k == l.stand.counted && status == http.StatusOK {
		l.counted.Add(1)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	if q.warm {
		l.took[phase] = append(l.took[phase], took)
	}
	if err != nil || !slices.Contains(q.right, status) {
		l.wrong[fmt.Sprintf("%s: %d %v", q.name, status, err)]++
	}
}

// end stops the load when all that was asked is answered.
func (l *load) end() {
	close(l.stop)
	l.workers.Wait()
}

// quantile is of the warm questions of a phase, of which there must be some.
func (l *load) quantile(phase int32, q float64) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	took := slices.Sorted(slices.Values(l.took[phase]))
	if len(took) == 0 {
		return 0
	}
	return took[min(len(took)-1, int(q*float64(len(took))))]
}
