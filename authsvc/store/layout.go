package store

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"
)

// How it all lies in Redis. A script touches keys of one hash tag only, so the layout
// would do for a cluster; what spans several is written in an order that leaves nothing
// usable behind, wherever it is cut short or meets another write.
//
//	stile:key:<hash>                hash    nonce, key (JSON), consumer (JSON), version (of the
//	                                        consumer), revision (of the key, none for 1), write (nonce);
//	                                        while it moves to (hash) or mover (mark): redis_rehash.go
//	stile:{c:<consumer>}            hash    state, version, json, custom (nonce), write (nonce)
//	stile:{c:<consumer>}:keys       set     "<key id> <nonce>"
//	stile:{c:<consumer>}:used       hash    <key id> to the unix minute of its last use
//	stile:{c:<consumer>}:claim      string  nonce of a custom id about to be written
//	stile:ref:key:<key id>          string  "<hash> <consumer> <nonce>", and while it moves " <former hash>"
//	stile:ref:custom:<custom id>    string  "<consumer> <nonce>"
//	stile:{sys}:consumers           zset    "<consumer>", score 0
//	stile:{sys}:keys                zset    "<key id> <nonce>", score 0
//	stile:revoked:<kind>:<hash>     string  what is revoked, PX: redis_revocations.go
//	stile:{sys}:revoked             zset    the same, "<kind>:<hash>[:<unix ms>]", by its end (unix ms)
//	stile:{sys}:audit, …:head       stream and string: redis_audit.go
//	stile:{sys}:changes             stream  epoch, n, kind, id: the log of changes, about 10,000
//	stile:{sys}:change-seq          string  n of the last change
//	stile:{sys}:epoch               string  drawn when the log was begun; with another, n begins anew
//	stile:{sys}:replicas            hash    <replica> to "<n applied> <unix ms when seen> <host>"
//
// A nonce is drawn for each write that spans several slots. It marks all that the write
// leaves, and nothing is changed or removed but under its own nonce: a writer that was
// held up, while others ended what it had begun, can do no harm when it goes on.
//
// A key is made in this order: its hash is reserved (which expires by itself), the ref
// names it, it joins its consumer's set, it is listed, and last the reservation is filled
// in; only then is it usable. So, for every usable key:
//
//   - its ref leads to it, and RevokeKey can end it;
//   - it is in its consumer's set, so updates reach its copy of the consumer, and
//     DeleteConsumer, which first closes the set, ends it.
//
// To end a key, its hash goes first. If that is only reserved, it cannot be filled in
// any more. A key that moves to another hash (redis_rehash.go) keeps its nonce, and has two
// for a while: the former one goes first then.
//
// A consumer's state is live, leaving while its keys are ended, or gone, which keeps its
// version for a day. A custom id is claimed, then written together with the consumer; a
// ref whose nonce no consumer has is dead, and the next claim replaces it.
//
// A key's copy of its consumer has the consumer's version and is only ever replaced by
// a newer one, be the key usable yet or only reserved.

// claimTime is how long a reservation stands. A write of several steps takes no longer
// than writeTime, so it is only for what was cut short.
const (
	claimTime = time.Minute
	writeTime = 10 * time.Second
)

const (
	consumersIndex = "stile:{sys}:consumers"
	keysIndex      = "stile:{sys}:keys"
)

func hashKey(hash string) string          { return "stile:key:" + hash }
func consumerKey(id string) string        { return "stile:{c:" + id + "}" }
func consumerKeysKey(id string) string    { return consumerKey(id) + ":keys" }
func consumerUsedKey(id string) string    { return consumerKey(id) + ":used" }
func consumerClaimKey(id string) string   { return consumerKey(id) + ":claim" }
func keyRefKey(id string) string          { return "stile:ref:key:" + id }
func customRefKey(customID string) string { return "stile:ref:custom:" + customID }

func newNonce() string { return rand.Text() }

// ref is what a name leads to: a key, or, without hash, a consumer. A key that moves has a
// former hash, too, and may be under either or both.
type ref struct{ hash, consumer, nonce, former string }

func (f ref) moving() bool { return f.former != "" }

// hashes are those that a key may be under, the former one first.
func (f ref) hashes() []string {
	if f.moving() {
		return []string{f.former, f.hash}
	}
	return []string{f.hash}
}

func (f ref) String() string {
	switch {
	case f.hash == "":
		return f.consumer + " " + f.nonce
	case f.moving():
		return f.hash + " " + f.consumer + " " + f.nonce + " " + f.former
	default:
		return f.hash + " " + f.consumer + " " + f.nonce
	}
}

func parseRef(text string) (ref, error) {
	switch parts := strings.Split(text, " "); len(parts) {
	case 2:
		return ref{consumer: parts[0], nonce: parts[1]}, nil
	case 3:
		return ref{hash: parts[0], consumer: parts[1], nonce: parts[2]}, nil
	case 4:
		return ref{hash: parts[0], consumer: parts[1], nonce: parts[2], former: parts[3]}, nil
	default:
		return ref{}, fmt.Errorf("ref of %d words: %w", len(parts), ErrCorrupt)
	}
}

// member is how a key stands in a set: ids have no bytes below '-', so the order of
// members is that of ids.
type member struct{ id, nonce string }

func (m member) String() string { return m.id + " " + m.nonce }

func parseMember(text string) member {
	id, nonce, _ := strings.Cut(text, " ")
	return member{id, nonce}
}
