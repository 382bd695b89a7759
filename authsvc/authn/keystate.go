package authn

import "time"

// KeyStatus is how an issuer's keys stand.
type KeyStatus string

// The members of KeyStatus.
const (
	KeysMissing KeyStatus = "missing" // never loaded: every token is Unavailable
	KeysLoaded  KeyStatus = "loaded"
	KeysStale   KeyStatus = "stale" // past their TTL, and the last fetch failed
)

// KeyState is how an issuer's keys stand, for /readyz.
type KeyState struct {
	Status KeyStatus
	Keys   int       // how many can be used
	Loaded time.Time // when the fetch that brought them began; zero when never
	Tried  time.Time // when the last fetch began; zero when never
	Err    error     // how that failed, nil when it did not

	tooOld bool
}

// String is the status in a word.
func (s KeyState) String() string { return string(s.Status) }

// Usable tells whether tokens can be judged.
func (s KeyState) Usable() bool { return s.Status != KeysMissing && !s.tooOld }

// state looks and fetches nothing. Keys that are merely old, because nobody asked for
// them, count as loaded: the next token fetches them.
func (s *keySet) state() KeyState {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := KeyState{Status: KeysMissing, Tried: s.started, Err: s.failure}
	k := s.current.Load()
	if k == nil {
		return state
	}
	state.Status, state.Keys, state.Loaded = KeysLoaded, len(k.list), k.loaded
	if age := s.now().Sub(k.loaded); s.failure != nil && age >= s.times.ttl {
		state.Status, state.tooOld = KeysStale, age >= s.times.maxAge
	}
	return state
}
