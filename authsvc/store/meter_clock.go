package store

import (
	"sync/atomic"
	"time"
)

// meterClock is what is known of the server's clock: how far it is ahead of ours. It only
// saves round trips; the server has the last word on what time it is.
type meterClock struct{ ahead atomic.Int64 }

func (c *meterClock) now(ours time.Time) time.Time {
	return ours.Add(time.Duration(c.ahead.Load()))
}

func (c *meterClock) set(theirs, ours time.Time) { c.ahead.Store(int64(theirs.Sub(ours))) }
