package policy

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"text/template"
)

const hunter2 = "hunter2"

// holder is a type of some other package, whose author did not think of printing.
type holder struct {
	Name    string
	Public  Secret
	Pointer *Secret
	List    []Secret
	ByName  map[string]Secret
	Any     any
}

// keeper holds its secret in a field that is not exported: fmt calls no method there.
type keeper struct {
	name   string
	secret Secret
}

func held() holder {
	s := NewSecret(hunter2)
	return holder{"a", s, &s, []Secret{s}, map[string]Secret{"k": s}, s}
}

// leaks tells whether text shows the secret, in letters or in hexadecimal.
func leaks(text string) bool {
	lower := strings.ToLower(text)
	return strings.Contains(lower, hunter2) || strings.Contains(lower, fmt.Sprintf("%x", hunter2)) ||
		strings.Contains(lower, "104 117 110") || strings.Contains(lower, "0x68, 0x75")
}

// verbs is every letter that a format may hold, with the flags that change what is shown.
func verbs() (all []string) {
	for _, flags := range []string{"", "+", "#", "-20", "020", " ", "# ", ".3"} {
		for c := 'A'; c <= 'z'; c++ {
			if c <= 'Z' || c >= 'a' {
				all = append(all, "%"+flags+string(c))
			}
		}
	}
	return all
}

func TestNoVerbPrintsASecret(t *testing.T) {
	s := NewSecret(hunter2)
	for what, value := range map[string]any{
		"itself": s, "a pointer": &s, "a slice": []Secret{s}, "an array": [1]Secret{s}, "a map": map[string]Secret{"k": s},
		"a map's key": map[Secret]int{s: 1}, "a struct": held(), "a pointer to one": ptr(held()), "an interface": []any{s},
		"an error": fmt.Errorf("no key: %v", s), "a pepper": Pepper{Version: 1, Secret: s},
	} {
		for _, verb := range verbs() {
			if verb[len(verb)-1] == 'p' || verb[len(verb)-1] == 'w' {
				continue // below
			}
			if got := fmt.Sprintf(verb, value); leaks(got) {
				t.Errorf("%s as %s: %s", what, verb, got)
			}
		}
	}
}

// fmt takes %p and, outside of Errorf, %w for mistakes, and shows the value without its methods.
func TestAMistakenVerbPrintsNoSecret(t *testing.T) {
	for _, verb := range []string{"%p", "%#p", "%w", "%!"} {
		if got := fmt.Sprintf(verb, NewSecret(hunter2)); leaks(got) {
			t.Errorf("%s: %s", verb, got)
		}
	}
	wrapped := "no such key: %w" // not a constant, so that vet does not see it
	if err := fmt.Errorf(wrapped, NewSecret(hunter2)); leaks(err.Error()) {
		t.Errorf("wrapped as if it were an error: %s", err)
	}
}

func TestAFieldThatIsNotExportedPrintsNoSecret(t *testing.T) {
	k := keeper{"a", NewSecret(hunter2)}
	for what, value := range map[string]any{"itself": k, "a pointer": &k, "a slice": []keeper{k}, "within an interface": []any{k}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			if got := fmt.Sprintf(verb, value); leaks(got) {
				t.Errorf("%s as %s: %s", what, verb, got)
			}
		}
	}
	var b bytes.Buffer
	slog.New(slog.NewTextHandler(&b, nil)).Info("made", "keeper", k)
	if leaks(b.String()) {
		t.Errorf("in a log: %s", b.String())
	}
	_ = k.name
}

func TestNoEncodingShowsASecret(t *testing.T) {
	encodings := map[string]func(any) (string, error){
		"json": func(v any) (string, error) { b, err := json.Marshal(v); return string(b), err },
		"xml":  func(v any) (string, error) { b, err := xml.Marshal(v); return string(b), err },
		"template": func(v any) (string, error) {
			var b strings.Builder
			err := template.Must(template.New("").Parse(`{{.}} {{printf "%v %s %q" . . .}} {{print .}} {{js .}} {{html .}}`)).Execute(&b, v)
			return b.String(), err
		},
		"slog, text": func(v any) (string, error) {
			var b bytes.Buffer
			l := slog.New(slog.NewTextHandler(&b, nil))
			l.With("with", v).Info("said", "attr", v, slog.Group("group", "in", v))
			return b.String(), nil
		},
		"slog, json": func(v any) (string, error) {
			var b bytes.Buffer
			l := slog.New(slog.NewJSONHandler(&b, nil))
			l.With("with", v).Info("said", "attr", v, slog.Group("group", "in", v))
			return b.String(), nil
		},
		"println": func(v any) (string, error) { return fmt.Sprintln(v) + fmt.Sprint(v, v), nil },
	}
	s := NewSecret(hunter2)
	for name, encode := range encodings {
		for what, value := range map[string]any{"itself": s, "a pointer": &s, "a struct": held(), "a slice": []Secret{s}, "an error": errors.Join(fmt.Errorf("%v", s))} {
			got, err := encode(value)
			if err != nil && name != "xml" { // which takes no maps
				t.Errorf("%s of %s: %v", name, what, err)
			}
			if leaks(got) {
				t.Errorf("%s of %s: %s", name, what, got)
			}
			if (what == "itself" || what == "a pointer") && !strings.Contains(got, redacted) {
				t.Errorf("%s of %s does not say so: %s", name, what, got)
			}
		}
	}
	if got, _ := json.Marshal(map[Secret]int{s: 1}); leaks(string(got)) {
		t.Errorf("json of a key: %s", got)
	}
}

func TestASecretIsSilentByName(t *testing.T) {
	s := NewSecret(hunter2)
	text, _ := s.MarshalText()
	doc, _ := s.MarshalJSON()
	for _, got := range []string{s.String(), s.GoString(), s.LogValue().String(), string(text), strings.Trim(string(doc), `"`)} {
		if got != redacted {
			t.Errorf("%q", got)
		}
	}
}

func TestASecretComesOutInOneWay(t *testing.T) {
	if got := NewSecret(hunter2).Reveal(); got != hunter2 {
		t.Errorf("revealed as %q", got)
	}
	if !(Secret{}).IsZero() || !NewSecret("").IsZero() || NewSecret(hunter2).IsZero() {
		t.Error("IsZero is true of no secret, and of none but that")
	}
	if (Secret{}).Reveal() != "" {
		t.Error("no secret reveals something")
	}
}

func TestAnEmptySecretDoesNotTellThatItIsEmpty(t *testing.T) {
	if got := fmt.Sprintf("%v %q %#v", Secret{}, Secret{}, Secret{}); got != strings.TrimSpace(strings.Repeat(redacted+" ", 3)) {
		t.Error(got)
	}
}

func ptr[T any](v T) *T { return &v }
