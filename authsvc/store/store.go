// Package store keeps consumers and their keys: in Redis, in a file, in memory, or as the
// configuration file declares them, with a local cache before all four. Those who need
// a store define the small interface that they need; Redis, File and Memory have the same
// methods with the same meaning, and storetest holds them to it.
package store

import "errors"

// What a store answers when a write cannot be done. Any other error but InvalidError
// means that the store is in trouble.
var (
	// ErrNotFound: there is no such consumer or key.
	ErrNotFound = errors.New("not found")
	// ErrExists: the id, the custom id or the key itself is taken.
	ErrExists = errors.New("already exists")
	// ErrConflict: it was changed, or is being deleted, since it was read.
	ErrConflict = errors.New("changed in the meantime")
	// ErrCorrupt: a stored value is not what its name says.
	ErrCorrupt = errors.New("corrupt value in the store")
)

// defaultLimit is how many a page holds when the caller does not say.
const defaultLimit = 100

func limitOrDefault(limit int) int {
	if limit < 1 {
		return defaultLimit
	}
	return limit
}
