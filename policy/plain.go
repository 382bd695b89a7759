package policy

import "errors"

var errHoldsKey = errors.New("an API key stands here, and this is shown and logged: write the key's id, or a name of your own")

// CheckPlain refuses text that holds a key, be it escaped: ids, names and groups are shown,
// logged and sent to upstreams, and an answer to whoever gave the key must not be the place
// where it gets out. The error holds nothing of the key.
func (f KeyFormat) CheckPlain(text string) error {
	if f.MaskPath(text) != text {
		return errHoldsKey
	}
	return nil
}

// IsKeyID tells whether text is of the form of the ids that New makes. Those of imported
// keys can be any that CheckID takes.
func IsKeyID(text string) bool {
	for i := range len(text) {
		if class[text[i]]&alphanumeric == 0 {
			return false
		}
	}
	return len(text) == keyIDLength
}
