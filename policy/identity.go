package policy

import "time"

// Ref names what was proved: an API key by its id, a token by issuer and subject.
type Ref struct{ Kind, ID string }

// Identity is what a credential proved. It is shared between requests: read only.
type Identity struct {
	Ref
	Credential string    // for the upstream and the log: a key's id, a token's subject
	Groups     []string  // as the credential says
	Scopes     []string  // as the credential says
	Expires    time.Time // zero when it does not expire
	Claims     map[string]any
	ConsumerID string    // whom it belongs to; "" when it names nobody in our books
	Consumer   *Consumer // where the same look-up found it
}

// Consumer is somebody in our books. Read only once it is handed out.
type Consumer struct {
	ID       string   `json:"id"`
	Username string   `json:"username,omitempty"`
	CustomID string   `json:"custom_id,omitempty"`
	Groups   []string `json:"groups,omitempty"`
	Disabled bool     `json:"disabled,omitempty"`
}
