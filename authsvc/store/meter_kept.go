package store

import (
	"fmt"
	"time"
)

// What a store does with counters beside counting. Whoever counts does not wait for it long.

// countersAtOnce is how many are looked at before those who count have their turn.
const countersAtOnce = 1024

// restore begins with what was kept, and notes what changes from then on.
func (c *counters) restore(kept map[string]counter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byKey, c.changed = kept, map[string]struct{}{}
}

// takeChanged answers what has changed since it was last called.
func (c *counters) takeChanged() map[string]counter {
	taken := map[string]counter{}
	for range maxCounters / countersAtOnce { // and no longer, however fast they change
		if !c.takeSome(taken) {
			break
		}
	}
	return taken
}

// takeSome answers whether there may be more.
func (c *counters) takeSome(taken map[string]counter) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	some := 0
	for name := range c.changed {
		if some++; some > countersAtOnce {
			return true
		}
		taken[name] = c.byKey[name]
		delete(c.changed, name)
	}
	return false
}

// putBack makes the next takeChanged answer counters again that could not be kept.
func (c *counters) putBack(taken map[string]counter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range taken {
		if _, ok := c.byKey[name]; ok {
			c.changed[name] = struct{}{}
		}
	}
}

// ended are those of names that are not there any more, or have expired.
func (c *counters) ended(names []string, now time.Time) (ended []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range names {
		if at, ok := c.byKey[name]; !ok || !now.Before(at.expires) {
			ended = append(ended, name)
		}
	}
	return ended
}

// records are all that have not expired.
func (c *counters) records(now time.Time) (list []CounterRecord) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, at := range c.byKey {
		if now.Before(at.expires) {
			list = append(list, CounterRecord{name, at.value, plainTime(at.expires)})
		}
	}
	return list
}

// load writes a counter as it stands: ErrExists when one of its name stands higher, since what
// was counted is newer then. One that has expired is forgotten.
func (c *counters) load(r CounterRecord, now time.Time) error {
	if !now.Before(r.Expires) {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	at := counter{r.Value, time.UnixMicro(microsUp(r.Expires))}
	held, ok := c.byKey[r.Name]
	switch {
	case !ok || !now.Before(held.expires) || held.value < at.value:
		c.set(r.Name, at, now)
	case held.value > at.value:
		return fmt.Errorf("counter %q: %w", r.Name, ErrExists)
	}
	return nil
}
