package config

import (
	"strconv"
	"strings"
	"time"

	"github.com/stile-gate/stile/policy"
)

// uniques remembers where values stood that may stand once.
type uniques map[string][]step

// once reports a value that stood before. It does not show it: a hash is nobody's to copy.
func (u uniques) once(r *report, path []step, value, what string) {
	if value == "" || r.unsure(path) {
		return
	}
	first, ok := u[value]
	if !ok {
		u[value] = path
		return
	}
	_, line := r.find(first)
	r.errorf(path, "the %s is taken, on line %d", what, line)
}

func (c *Config) checkConsumers(r *report) {
	ids, customIDs, keyIDs, hashes := uniques{}, uniques{}, uniques{}, uniques{}
	for i, consumer := range c.Consumers {
		path := at("consumers", i)
		option := func(name string) []step { return below(path, step{name: name}) }
		r.checkID(path, consumer.ID)
		ids.once(r, option("id"), consumer.ID, "id")
		customIDs.once(r, option("custom_id"), consumer.CustomID, "custom_id")
		if len(consumer.Keys) > 0 && !c.hasAPIKeys() && !r.touched(at("authenticators")) {
			r.errorf(option("keys"), "keys: do nothing: no authenticator is an api_key")
		}
		for j, key := range consumer.Keys {
			path := below(option("keys"), step{index: j})
			option := func(name string) []step { return below(path, step{name: name}) }
			r.checkID(path, key.ID)
			keyIDs.once(r, option("id"), key.ID, "id")
			hashes.once(r, option("hash"), key.Hash, "hash")
			c.checkHash(r, path, key.Hash)
			if end := key.ExpiresAt; !end.IsZero() && !end.After(time.Now()) {
				r.warnf(option("expires_at"), "expires_at: is past, so the key is refused; take it out, or declare another")
			}
		}
	}
}

// checkID checks the id of the element at a path.
func (r *report) checkID(path []step, id string) {
	option := below(path, step{name: "id"})
	switch err := policy.CheckID(id); {
	case err == nil || r.unsure(option):
	case id == "":
		r.errorf(path, "needs id:")
	default:
		r.errorf(option, "id: %v", err)
	}
}

// checkHash never shows the hash: somebody may have put the key there in its place.
func (c *Config) checkHash(r *report, path []step, hash string) {
	option := below(path, step{name: "hash"})
	if r.unsure(option) {
		return
	}
	if hash == "" {
		r.errorf(path, "needs hash:")
		return
	}
	if err := policy.CheckKeyHash(hash); err != nil {
		r.errorf(option, "hash: %v", err)
		return
	}
	version, _, _ := strings.Cut(strings.TrimPrefix(hash, "hmac-sha256:"), ":")
	switch pepper := c.Keys.Pepper; {
	case strings.HasPrefix(hash, "sha256:") || r.touched(at("keys")):
	case pepper.Secret.IsZero():
		r.errorf(option, "hash: was made with a pepper, and there is no keys.pepper")
	case version != strconv.Itoa(pepper.Version):
		r.errorf(option, "hash: was made with another version of the pepper than keys.pepper has")
	}
}
