package authsvc

import (
	"context"
	"net/http"
	"strings"

	"github.com/stile-gate/stile/policy"
)

// plainID keeps out of the audit what is no id, for it could be a secret in the wrong place.
// Of a key, its id is left.
func (a *Admin) plainID(text string) string {
	const limit = 200
	masked := a.Format.Mask(text)
	if masked == text && policy.CheckID(strings.ReplaceAll(text, ":", ".")) != nil { // a token's has colons
		return "(not an id)"
	}
	return masked[:min(len(masked), limit)]
}

// pathObject is what the path of a call names, as the audit may show it; "" for nothing.
func (a *Admin) pathObject(r *http.Request) string {
	id := r.PathValue("id")
	if id == "" {
		return ""
	}
	noun := "consumer"
	if strings.Contains(r.Pattern, "/keys/") {
		noun = "key"
	}
	return a.reference(r.Context(), noun, id)
}

// reference is plainID for what should be there already. Many a key of another system reads
// like an id, so only the ids of what is there are written whole, and those that were made
// here: of others, enough for whoever asked to know which it was.
func (a *Admin) reference(ctx context.Context, noun, text string) string {
	plain := a.plainID(text)
	switch {
	case plain != text || a.Format.CheckForeign(text) != nil: // too short to be a key
		return plain
	case noun == "key" && (policy.IsKeyID(text) || a.declaredKey(text) != nil):
		return plain
	case noun == "key":
		if k, err := a.Keys.Key(ctx, text); err == nil && k != nil {
			return plain
		}
	case a.Declared.Consumer(text) != nil:
		return plain
	default:
		if c, err := a.Consumers.Consumer(ctx, text); err == nil && c != nil {
			return plain
		}
	}
	return shortened(text)
}

// shortened leaves of what may be a key of another system no more than helps nobody.
func shortened(text string) string {
	const shown = 4
	return text[:shown] + "…"
}

// withoutID is the text of an error for the log, which has no key in it: neither one of
// ours, nor what the path names where that may be one of another system.
func (a *Admin) withoutID(r *http.Request, err error) string {
	text := err.Error()
	if id := r.PathValue("id"); id != "" && !policy.IsKeyID(id) && a.Format.CheckForeign(id) == nil {
		text = strings.ReplaceAll(text, id, shortened(id))
	}
	return a.Format.MaskPath(text)
}
