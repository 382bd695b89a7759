package config

import "fmt"

// checkPeppers checks the pepper of new keys, and those of keys of before.
func (c *Config) checkPeppers(r *report) {
	if r.has(at("keys", "pepper")) {
		r.checkPepper(at("keys", "pepper"), "keys.pepper", c.Keys.Pepper)
	}
	if old := at("keys", "old_peppers"); len(c.Keys.OldPeppers) > 0 && !r.has(at("keys", "pepper")) && !r.unsure(old) {
		r.errorf(old, "keys.old_peppers: does nothing without keys.pepper, with which new keys are hashed")
	}
	seen := map[int]bool{c.Keys.Pepper.Version: true}
	for i, p := range c.Keys.OldPeppers {
		path := at("keys", "old_peppers", i)
		r.checkPepper(path, fmt.Sprintf("keys.old_peppers[%d]", i), p)
		version := below(path, step{name: "version"})
		if p.Version > 0 && seen[p.Version] && !r.unsure(version) {
			r.errorf(version, "keys.old_peppers[%d].version: another pepper has version %d", i, p.Version)
		}
		seen[p.Version] = true
	}
}

func (r *report) checkPepper(path []step, name string, p Pepper) {
	version, secret := below(path, step{name: "version"}), below(path, step{name: "secret"})
	if p.Version < 1 && !r.unsure(version) {
		r.errorf(version, "%s.version: must be a number from 1", name)
	}
	if len(p.Secret.Reveal()) < minSecret && !r.unsure(secret) {
		r.errorf(secret, "%s.secret: must have 16 bytes or more", name)
	}
}
