package store

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// counterSaver writes the counters of a File behind those who spend, and reads them when it
// is opened.
type counterSaver struct {
	store *embedded

	mu    sync.Mutex // one at a time
	saved map[string]struct{}
	swept time.Time
}

const (
	keptFrom      = 5 * time.Second // a counter that ends sooner is not worth writing
	sweepCounters = time.Minute
)

// restore reads what was saved. Who asks for a counter sees whether it has expired.
func (s *counterSaver) restore() error {
	kept := map[string]counter{}
	s.saved = map[string]struct{}{}
	err := s.store.values.view(func(tx reader) error {
		for name, text := range tx.from(counterBucket, "") {
			value, expires, err := parsePair(text)
			if err != nil {
				return err
			}
			s.saved[name] = struct{}{}
			if len(kept) < maxCounters {
				kept[name] = counter{value, time.UnixMicro(expires)}
			}
		}
		return nil
	})
	s.store.meter.restore(kept)
	return err
}

// save writes what has changed. What could not be written is written with the next.
func (s *counterSaver) save() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := s.store.meter.takeChanged()
	if len(changed) == 0 && len(s.saved) <= maxCounters {
		return nil
	}
	now := s.store.clock() // which may be set until somebody counts
	put, gone := map[string]counter{}, []string(nil)
	for name, at := range changed {
		if at.expires.Sub(now) >= keptFrom {
			put[name] = at
		} else if _, ok := s.saved[name]; ok {
			gone = append(gone, name)
		}
	}
	gone = append(gone, s.ended(now, len(put))...)
	if len(put)+len(gone) == 0 {
		return nil
	}
	if err := s.write(put, gone); err != nil {
		s.store.meter.putBack(changed)
		return err
	}
	for _, name := range gone {
		delete(s.saved, name)
	}
	for name := range put {
		s.saved[name] = struct{}{}
	}
	return nil
}

func (s *counterSaver) write(put map[string]counter, gone []string) error {
	_, err := write(context.Background(), s.store, "save_counters", func(tx writer) (none struct{}, err error) {
		for _, name := range gone {
			tx.delete(counterBucket, name)
		}
		for _, name := range slices.Sorted(maps.Keys(put)) { // in order, which is much faster where many are new
			tx.put(counterBucket, name, pair(put[name].value, microsUp(put[name].expires)))
		}
		return none, nil
	})
	return err
}

// ended are the saved ones that can go, now and then, and where more would be too many.
func (s *counterSaver) ended(now time.Time, more int) (ended []string) {
	if since := now.Sub(s.swept); since >= 0 && since < sweepCounters && len(s.saved)+more <= maxCounters {
		return nil
	}
	s.swept = now
	for some := range slices.Chunk(slices.Collect(maps.Keys(s.saved)), countersAtOnce) {
		ended = append(ended, s.store.meter.ended(some, now)...)
	}
	return ended
}
