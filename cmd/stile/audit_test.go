package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stile-gate/stile/authsvc/store"
)

// chain is the entries of an audit, and where it ends.
func chain(t *testing.T, n int) ([]store.AuditEntry, store.AuditHead) {
	t.Helper()
	m := store.NewMemory()
	for i := range n {
		if _, err := m.AppendAudit(t.Context(), store.AuditRecord{Actor: "a", Action: "key.create", Object: fmt.Sprint(i), Outcome: "done"}); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := m.AuditEntries(t.Context(), 0, n)
	if err != nil {
		t.Fatal(err)
	}
	return entries, store.AuditHead{Seq: entries[n-1].Seq, Hash: entries[n-1].Hash}
}

// verify runs `audit verify --known` against a server that has these entries.
func verify(t *testing.T, entries []store.AuditEntry, head store.AuditHead, known string) string {
	t.Helper()
	first := true
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		page := auditPage{Head: head}
		if first {
			page.Entries = entries
		}
		first = false
		_ = json.NewEncoder(w).Encode(page)
	}))
	defer s.Close()
	root := newRoot()
	root.SetOut(new(bytes.Buffer))
	root.SetArgs([]string{"audit", "verify", "--admin", s.URL, "--token", adminToken, "--known", known})
	if err := root.ExecuteContext(t.Context()); err != nil {
		return err.Error()
	}
	return ""
}

// A known head proves what stands up to it, and accuses nothing of that wrongly.
func TestAKnownEntryIsLookedForInItsPlace(t *testing.T) {
	entries, head := chain(t, 6)
	other, otherHead := chain(t, 7) // made at other times, so all hashes are others
	known := fmt.Sprintf("4:%s", entries[3].Hash)
	forged := entries[3]
	forged.Object, forged.Hash = "forged", strings.Repeat("0", 64)
	for name, c := range map[string]struct {
		entries []store.AuditEntry
		head    store.AuditHead
		known   string
		want    string
	}{
		"in the chain":                  {entries, head, known, ""},
		"in upper case":                 {entries, head, strings.ToUpper(known), ""},
		"the last":                      {entries, head, fmt.Sprintf("6:%s", strings.ToUpper(head.Hash)), ""},
		"one of its number behind":      {append(entries[:6:6], forged), head, known, "entry 4 stands where entry 7 should"},
		"one of its number right after": {append(entries[:4:4], forged), head, known, "entry 4 stands where entry 5 should"},
		"another chain":                 {other, otherHead, known, "entry 4 is not the one that was known"},
		"a head that was set back":      {entries, store.AuditHead{Seq: 2, Hash: entries[1].Hash}, known, "the head is at entry 2, and entry 4, which was known, stands in the chain: the head was set back"},
		"entries behind a head past it": {entries, store.AuditHead{Seq: 5, Hash: entries[4].Hash}, known, "entry 6 was put in behind the end"},
		"cut before it":                 {entries[:3], store.AuditHead{Seq: 3, Hash: entries[2].Hash}, known, "the audit ends at entry 3, before entry 4, which was known"},
	} {
		got := verify(t, c.entries, c.head, c.known)
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// What a server refuses as ambiguous is not read in one of its ways here.
func TestAPastedTokenIsReadInOneWay(t *testing.T) {
	for claims, want := range map[string]string{
		`{"iss":"i","jti":"a"}`: "", `{"iss":"i","jti":"a","sub":"s","sid":"x","exp":1e30}`: "", `{"iss":"i"}`: "",
		`{"iss":"i","jti":"a","jti":"b"}`: "name twice", `{"iss":"i","jti":"a","JTI":"b"}`: "name twice", `{"iss":"i","jti":"\ud800"}`: "surrogate",
		`{"iss":"i","jti":1}`: "jti of what was pasted is not a string", `{"iss":"i","exp":"soon"}`: "exp of what was pasted", `{"iss":"i","exp":1e999}`: "exp", `{"jti":"a"}`: "no issuer", `{"ISS":"i"}`: "no issuer", `[]`: "JSON object",
	} {
		var token pastedToken
		if err := token.read([]byte(claims)); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", claims, err, want)
		}
	}
}
