package authsvc

import (
	"context"
	"net/http"
	"time"
)

// Waiter answers when every live replica has applied all that was written before, or when
// ctx ends: then with those that have not.
type Waiter func(ctx context.Context) (slow []string, err error)

// maxWait bounds how long a call may wait for other replicas.
const maxWait = 5 * time.Minute

// applied says how long it took until all replicas knew, and which do not yet.
type applied struct {
	Milliseconds int64    `json:"applied_ms"`
	Slow         []string `json:"slow"`
}

// waiting reads ?wait=; 0 when there is none.
func waiting(r *http.Request) (time.Duration, error) {
	query := r.URL.Query()
	if !query.Has("wait") {
		return 0, nil
	}
	d, err := time.ParseDuration(query.Get("wait"))
	if err != nil || d <= 0 || d > maxWait || len(query["wait"]) > 1 {
		return 0, badCall("wait is a duration up to %s, such as 30s", maxWait)
	}
	return d, nil
}

// wait waits for the other replicas. Where there is none, there is nothing to wait for.
// The server's read deadline can end the call's own context while it waits.
func (a *Admin) wait(ctx context.Context, patience time.Duration) (*applied, error) {
	done := &applied{Slow: []string{}}
	if a.Wait == nil {
		return done, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	begin := time.Now()
	slow, err := a.Wait(ctx)
	if err != nil {
		a.Log.ErrorContext(ctx, "it cannot be told which replicas know of a revocation", "error", a.Format.Mask(err.Error()))
		return nil, &callError{http.StatusServiceUnavailable, "it is revoked, but it cannot be told now which replicas know"}
	}
	done.Milliseconds = time.Since(begin).Milliseconds()
	done.Slow = append(done.Slow, slow...)
	return done, nil
}
