package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
)

// compareAll settles records that are in conflict, several at a time.
func (im *importer) compareAll(ctx context.Context, conflicts []conflict) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var comparisons sync.WaitGroup
	for _, c := range conflicts {
		im.comparing <- struct{}{}
		comparisons.Go(func() {
			defer func() { <-im.comparing }()
			if err := im.compare(ctx, c); err != nil {
				stop(im.at(c.record, err))
			}
		})
	}
	comparisons.Wait()
	return context.Cause(ctx)
}

// compare looks whether what is in the way is the record itself, of a run before. A key
// without an id is known by its hash alone, which is shown nowhere, and that is the same.
func (im *importer) compare(ctx context.Context, c conflict) error {
	if c.id == "" {
		im.settle(c.record, true, nil)
		return nil
	}
	var shown, sent map[string]any
	err := patiently(ctx, func() error {
		return im.client.call(ctx, http.MethodGet, "/v1/"+c.kind+"s/"+url.PathEscape(c.id), nil, &shown)
	})
	var refused *refusedError
	if errors.As(err, &refused) && refused.status == http.StatusNotFound {
		im.settle(c.record, false, c.refused) // what is taken is its custom id, or its hash
		return nil
	}
	if err == nil {
		err = json.Unmarshal(c.text, &sent)
	}
	if err != nil {
		return err
	}
	maps.DeleteFunc(sent, func(name string, _ any) bool { return strings.EqualFold(name, "kind") })
	if name := difference(sent, shown); name != "" {
		im.settle(c.record, false, fmt.Errorf("%s %q is there with another %s", c.kind, c.id, name))
		return nil
	}
	im.settle(c.record, true, nil)
	return nil
}

// notCompared are fields that a file cannot say, or that the admin API does not show.
var notCompared = []string{
	"key", "hash", "version", "created", "updated", "last_used", "declared", "lineage", "replaced_by",
}

// difference is the first name, in their order, of what a file says otherwise than the
// admin API; "" for none. What is left out is the same as what is empty.
func difference(sent, shown map[string]any) string {
	names := slices.Concat(slices.Collect(maps.Keys(sent)), slices.Collect(maps.Keys(shown)))
	slices.Sort(names)
	for _, name := range names {
		if !slices.Contains(notCompared, name) && !reflect.DeepEqual(canonical(sent[name]), canonical(shown[name])) {
			return name
		}
	}
	return ""
}

// canonical writes times and address ranges in one way, and nothing as nil.
func canonical(value any) any {
	switch v := value.(type) {
	case bool:
		if !v {
			return nil
		}
	case string:
		if at, err := time.Parse(time.RFC3339, v); err == nil {
			return at.UTC()
		}
		if network, err := netip.ParsePrefix(v); err == nil {
			return network
		}
		if v == "" {
			return nil
		}
	case []any:
		if len(v) == 0 {
			return nil
		}
		list := make([]any, len(v))
		for i := range v {
			list[i] = canonical(v[i])
		}
		return list
	}
	return value
}
