package store

import (
	"context"
	"strings"
)

// IsSame tells whether two stores are one, under whatever names of its servers. It answers
// false where the servers do not tell.
func (r *Redis) IsSame(ctx context.Context, other *Redis) bool {
	if r.url.database != other.url.database {
		return false
	}
	ours, theirs := r.histories(ctx), other.histories(ctx)
	for id := range ours {
		if theirs[id] {
			return true
		}
	}
	return false
}

// histories are the ids of what was ever written to each server: one that is promoted goes on
// under another, and a replica has that of its master.
func (r *Redis) histories(ctx context.Context) map[string]bool {
	ids := map[string]bool{}
	servers, _ := r.servers(ctx) // those that were found will do
	for _, server := range servers {
		for line := range strings.Lines(server.Info(ctx, "replication").Val()) {
			if id, ok := strings.CutPrefix(strings.TrimSpace(line), "master_replid:"); ok && id != "" {
				ids[id] = true
			}
		}
	}
	return ids
}
