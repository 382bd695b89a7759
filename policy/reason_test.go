package policy

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

// The table of design §5, which people script against.
var designReasons = map[string]int{
	"ok": 200, "no_route": 404, "bad_request": 400, "no_credential": 401, "bad_credential": 401, "expired": 401,
	"forbidden": 403, "missing_scope": 403, "rate_limited": 429, "quota_exceeded": 429, "unavailable": 503,
}

func TestTheTableOfReasonsIsTheDesigns(t *testing.T) {
	titles, seen := map[string]bool{}, map[string]bool{}
	for _, r := range Reasons() {
		status, known := designReasons[r.String()]
		if !known || seen[r.String()] {
			t.Errorf("%q is not in the design's table, or twice", r)
		}
		if r.Status() != status {
			t.Errorf("%s has status %d, want %d", r, r.Status(), status)
		}
		if r.Title() == "" || titles[r.Title()] {
			t.Errorf("%s has title %q, which is empty or another's too", r, r.Title())
		}
		seen[r.String()], titles[r.Title()] = true, true
	}
	for word := range designReasons {
		if !seen[word] {
			t.Errorf("%s is not in the table", word)
		}
	}
}

func TestADenialOfPolicyIsNeverA5xx(t *testing.T) {
	for _, r := range Reasons() {
		if r != Unavailable && r.Status() >= 500 {
			t.Errorf("%s is %d", r, r.Status())
		}
		if r != OK && r.Status() < 400 {
			t.Errorf("%s is %d, which lets in", r, r.Status())
		}
	}
}

func TestAnUnknownReasonDenies(t *testing.T) {
	for _, r := range []Reason{0, reasonCount, 255} {
		if r.Status() != 503 || r.String() != "unavailable" || (&Decision{Reason: r}).Allowed() {
			t.Errorf("reason %d is %s, %d", uint8(r), r, r.Status())
		}
	}
}

func TestTheReasonOfAnError(t *testing.T) {
	denied := Refuse(Forbidden, "in none of the groups %s", "a, b")
	for _, tc := range []struct {
		why  string
		err  error
		want Reason
	}{
		{"one of Refuse", denied, Forbidden},
		{"one of Refuse, wrapped", fmt.Errorf("partner: %w", denied), Forbidden},
		{"one of Refuse, joined", errors.Join(errors.New("x"), denied), Forbidden},
		{"one of our own", errors.New("dial tcp: connection refused"), Unavailable},
		{"a context that ended", context.Canceled, Unavailable},
		{"a deadline", context.DeadlineExceeded, Unavailable},
		{"no error is no reason to let in", nil, Unavailable},
		{"an error cannot say ok", Refuse(OK, "all is well"), Unavailable},
		{"nor when it is wrapped", fmt.Errorf("x: %w", Refuse(OK, "all is well")), Unavailable},
		{"a search that went on", ErrNoCredential, Unavailable},
	} {
		if got := ReasonOf(tc.err); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.why, got, tc.want)
		}
	}
	if denied.Error() != "in none of the groups a, b" {
		t.Errorf("detail reads %q", denied)
	}
}
