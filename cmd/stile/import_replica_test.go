package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
	"github.com/stile-gate/stile/policy"
)

// What a replica remembers not to be there is found as soon as another one has imported it.
func TestAnImportIsFoundByOtherReplicas(t *testing.T) {
	server := storetest.StartRedis(t)
	here, there := start(t, reloadConfig+"store: "+server.URL+"/0\n"), start(t, reloadConfig+"store: "+server.URL+"/0\n")
	id, key, hash := generated(t)
	good := func(r *running) bool { return r.ask("/closed", "X-API-Key", key).status == http.StatusOK }
	for _, r := range []*running{here, there} {
		if got := r.ask("/closed", "X-API-Key", key).status; got != http.StatusUnauthorized {
			t.Fatalf("before: %d", got)
		}
	}
	begin := time.Now()
	lines := `{"kind":"consumer","id":"first"}` + "\n" + `{"kind":"consumer","id":"acme"}` + "\n" + fmt.Sprintf(`{"kind":"key","consumer":"acme","id":%q,"hash":%q}`, id, hash) + "\n"
	imported := func() answer {
		return here.do(http.MethodPost, here.admin+"/v1/import", lines, "Authorization", "Bearer "+adminToken, "Content-Type", "application/x-ndjson")
	}
	if got := imported(); got.status != http.StatusOK || got.body != `{"results":[{"line":1,"status":201},{"line":2,"status":201},{"line":3,"status":201}]}`+"\n" {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if !good(here) {
		t.Error("it is not found where it was imported")
	}
	there.until("known", func() bool { return good(there) })
	if took := time.Since(begin); took > 4*time.Second { // by then it would be looked for again
		t.Errorf("found after %s", took)
	}
	db := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer func() { _ = db.Close() }()
	if got := imported(); got.status != http.StatusOK { // all in conflict
		t.Errorf("again: %d %s", got.status, got.body)
	}
	if changes, err := db.XLen(t.Context(), "stile:{sys}:changes").Result(); changes != 1 || err != nil {
		t.Errorf("%d changes were announced (%v), want 1 of the first call", changes, err)
	}
}

// announcedTo is a store that answers what it is told to, and hears what is announced.
type announcedTo struct {
	problems  []error
	err       error
	announced []store.Change
	deaf      error
}

func (a *announcedTo) Load(context.Context, []store.Record) ([]error, error) {
	return a.problems, a.err
}

func (a *announcedTo) Announce(_ context.Context, c store.Change) (int64, error) {
	a.announced = append(a.announced, c)
	return 1, a.deaf
}

func TestLoadsAreAnnouncedOnce(t *testing.T) {
	down := errors.New("down")
	records := []store.Record{{Consumer: &store.Consumer{Consumer: policy.Consumer{ID: "acme"}}}, {Key: &store.Key{ID: "k"}}, {Key: &store.Key{ID: "l"}}}
	consumer, key := store.Change{Kind: store.ConsumerChanged, ID: "acme"}, store.Change{Kind: store.KeyChanged, ID: "k"}
	for what, tc := range map[string]struct {
		to   announcedTo
		want []store.Change
		err  error
	}{
		"all are new":          {announcedTo{problems: make([]error, 3)}, []store.Change{consumer}, nil},
		"some are new":         {announcedTo{problems: []error{store.ErrExists, nil, nil}}, []store.Change{key}, nil},
		"none is new":          {announcedTo{problems: slices.Repeat([]error{store.ErrExists}, 3)}, nil, nil},
		"the store is down":    {announcedTo{err: down}, []store.Change{consumer}, down},
		"both are down":        {announcedTo{err: down, deaf: errors.New("as well")}, []store.Change{consumer}, down},
		"it is not announced":  {announcedTo{problems: make([]error, 3), deaf: down}, []store.Change{consumer}, store.ErrUnannounced},
		"nothing is announced": {announcedTo{problems: slices.Repeat([]error{store.ErrExists}, 3), deaf: down}, nil, nil},
	} {
		problems, err := announcedLoads{&tc.to}.Load(t.Context(), records)
		if !slices.Equal(tc.to.announced, tc.want) || !errors.Is(err, tc.err) || (err == nil) != (tc.err == nil) || !slices.Equal(problems, tc.to.problems) {
			t.Errorf("%s: %v, %v; announced %v", what, problems, err, tc.to.announced)
		}
	}
}
