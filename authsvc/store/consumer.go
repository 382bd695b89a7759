package store

import (
	"time"

	"github.com/stile-gate/stile/policy"
)

// Consumer is a consumer as it is kept. The store sets Version, Created and Updated.
type Consumer struct {
	policy.Consumer
	Version int64     `json:"version"` // from 1, and more with every change
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
}

// Validate answers an *InvalidError that lists all that is wrong, or nil.
func (c Consumer) Validate() error {
	var p problems
	p.id("id", c.ID)
	p.text("username", c.Username)
	p.text("custom_id", c.CustomID)
	p.list("groups", c.Groups, checkGroup)
	return p.err()
}

// clone shares no memory with c. An empty list becomes none, as in every encoding of it.
func (c Consumer) clone() Consumer {
	c.Groups = cloneList(c.Groups)
	return c
}

func cloneList(list []string) []string { return append([]string(nil), list...) }
