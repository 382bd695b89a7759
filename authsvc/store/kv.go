package store

import "iter"

// keyValues is what an embedded store is built on: named buckets of keys with values, both
// texts, in the order of the keys.
type keyValues interface {
	// view shows how everything is at one moment. Views do not wait for updates.
	view(look func(reader) error) error
	// update keeps all that work writes, or nothing when that fails. Work checks first and
	// writes then. It may be run again, so what it leaves behind is that of its last run.
	update(work func(writer) error) error
	close() error
}

// reader is a transaction that reads.
type reader interface {
	// get is false where there is nothing.
	get(in bucket, key string) (value string, ok bool)
	// from goes through a bucket, beginning with the first key that is not below key. Nothing
	// is written meanwhile.
	from(in bucket, key string) iter.Seq2[string, string]
}

// writer is a transaction that sees what it has written. A write that fails fails its update.
type writer interface {
	reader
	put(in bucket, key, value string)
	delete(in bucket, key string)
}

type bucket string

// What there is. A number is decimal, a time is in unix microseconds; in keys a time is eight
// bytes (timeKey), so that their order is that of time.
//
//	stile         layout, serial, audit, room  the form of all this; how many consumers were made; the chain's
//	                                           head; what Ping wrote to find out whether there is room
//	consumers     <consumer>                   "<version> <serial> <JSON>"
//	custom ids    <custom id>                  <consumer>
//	buried        <consumer>                   "<version> <time>", of one that was deleted then
//	burials       <time><consumer>             ""
//	keys          <key>                        "<hash> <version> <JSON>"
//	hashes        <hash>                       <key>
//	members       <consumer> NUL <key>         the unix minute of its last use, or ""
//	revoked       <kind>:<hash>                "<unix milliseconds> <time>", of Revocation.ID, and its end
//	revocations   <time><kind>:<hash>          "", by the end
//	audit         <seq>, eight bytes           JSON
//	counters      <name>                       "<value> <time>", and its end
const (
	metaBucket        bucket = "stile"
	consumerBucket    bucket = "consumers"
	customIDBucket    bucket = "custom ids"
	buriedBucket      bucket = "buried"
	burialBucket      bucket = "burials"
	keyBucket         bucket = "keys"
	hashBucket        bucket = "hashes"
	memberBucket      bucket = "members"
	revokedBucket     bucket = "revoked"
	revokedEndsBucket bucket = "revocations"
	auditBucket       bucket = "audit"
	counterBucket     bucket = "counters"
)

var buckets = [...]bucket{
	metaBucket, consumerBucket, customIDBucket, buriedBucket, burialBucket, keyBucket, hashBucket, memberBucket,
	revokedBucket, revokedEndsBucket, auditBucket, counterBucket,
}

// Keys of metaBucket.
const (
	layoutKey    = "layout"
	serialKey    = "serial"
	auditHeadRef = "audit"
	roomKey      = "room"
)

// after is the first key that can follow another.
func after(key string) string { return key + "\x00" }
