package store

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Level says how much a finding matters.
type Level string

// The levels, the least first.
const (
	LevelOK   Level = "ok"
	LevelWarn Level = "warn" // it works, and something can be lost or is soon to fail
	LevelFail Level = "fail" // it does not do what Stile needs
)

// Finding is what one check of a store found.
type Finding struct {
	Name   string `json:"name"`           // of the check
	Node   string `json:"node,omitempty"` // the server, where there are several
	Level  Level  `json:"level"`
	Found  string `json:"found"`
	Change string `json:"change,omitempty"` // what to do about it; empty for ok
}

// Inspection is what was found of a store.
type Inspection struct {
	Store  string    `json:"store"` // its URL without user, password and options
	Checks []Finding `json:"checks"`
}

// Count is how many findings are of a level.
func (i Inspection) Count(l Level) (n int) {
	for _, f := range i.Checks {
		if f.Level == l {
			n++
		}
	}
	return n
}

// How long an inspection may take, in all, for one check, and until a server counts as one
// that does not answer.
const (
	inspectTime  = 10 * time.Second
	lookTime     = 2 * time.Second
	inspectReply = time.Second
)

// Inspect looks at the store of a URL: whether it can be reached, whether it is set up so that
// nothing gets lost, and whether it is about to fail. It writes keys below stile:{doctor} only,
// and files beside the store's, and removes them again. Now is our clock. The error is that of
// a URL that cannot be read.
func Inspect(ctx context.Context, rawURL string, now func() time.Time) (Inspection, error) {
	if err := CheckURL(rawURL); err != nil {
		return Inspection{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, inspectTime)
	defer cancel()
	if rawURL == "memory:" {
		return Inspection{rawURL, inspectMemory()}, nil
	}
	if path, ok := FileOf(rawURL); ok {
		return Inspection{"file:" + path, inspectFile(ctx, path)}, nil
	}
	return inspectRedis(ctx, rawURL, now)
}

func inspectMemory() []Finding {
	f := warn("all of it is in this process's memory: consumers, keys, revocations and counters end with it",
		"store: file:/var/lib/stile/stile.db for one process, or store: redis://HOST for several")
	f.Name = "persistence"
	return []Finding{f}
}

// check is one thing to look at.
type check[T any] struct {
	name string
	look func(T, context.Context) Finding
}

// inspectAll does checks one after the other. A node is named where there are several.
func inspectAll[T any](ctx context.Context, of T, node string, checks []check[T]) []Finding {
	all := make([]Finding, len(checks))
	for i, c := range checks {
		all[i] = c.of(ctx, of, node)
	}
	return all
}

func (c check[T]) of(ctx context.Context, of T, node string) (f Finding) {
	if ctx.Err() != nil {
		f = fail("not known: the other checks took all the time there is", "see what is slow, and run doctor again")
	} else {
		ctx, cancel := context.WithTimeout(ctx, lookTime)
		defer cancel()
		f = c.look(of, ctx)
	}
	f.Name, f.Node = c.name, node
	return f
}

func fine(format string, args ...any) Finding {
	return Finding{Level: LevelOK, Found: fmt.Sprintf(format, args...)}
}

func warn(found, change string) Finding {
	return Finding{Level: LevelWarn, Found: found, Change: change}
}

func fail(found, change string) Finding {
	return Finding{Level: LevelFail, Found: found, Change: change}
}

// sizeText writes a number of bytes for people.
func sizeText(n int64) string {
	const units = "KMGTPE"
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	size, unit := float64(n)/1000, 0
	for size >= 999.95 && unit < len(units)-1 {
		size, unit = size/1000, unit+1
	}
	return fmt.Sprintf("%.1f %cB", size, units[unit])
}

// timeText writes a duration for people, to about three digits.
func timeText(d time.Duration) string {
	unit := time.Microsecond
	for unit*1000 <= d.Abs() && unit < 10*time.Millisecond {
		unit *= 10
	}
	if d.Abs() >= 10*time.Second {
		unit = time.Second
	}
	return d.Round(unit).String()
}

// countText writes a number of things.
func countText(n int, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, several)
}

// listText names a few of several.
func listText(names []string) string {
	const most = 5
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
