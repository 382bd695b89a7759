package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	for text, want := range map[string]string{
		`{"id":"a","header":{"X-A":["1"],"x-a":["2"]}}`: "", `{"a":{"b":1},"c":{"b":2}}`: "", `[1, "a",null,true,{}]`: "", "\t{}\n": "", `"a"`: "", `null`: "",
		`{"kind":1,"kind":2}`: `it says "kind" twice`, `{"kind":1,"KIND":2}`: `it says "KIND" twice`, `{"scopes":1,"ſcopes":2}`: "twice", `{"a":1,"\u0061":2}`: `it says "a" twice`,
		`{"a":[{"b":1,"b":2}]}`: `it says "b" twice`, `[{"a":1,"a":1}]`: "twice",
		`{"a":"\ud800"}`: "surrogate", `{"\udc00":1}`: "surrogate", "{\"a\":\"\xff\"}": "UTF-8",
		``: "unexpected end", `{`: "unexpected end", `{}{}`: "after top-level value", `{"a":1,}`: "invalid character", strings.Repeat("[", 10_001): "",
	} {
		err := Check([]byte(text), nil)
		if strings.HasPrefix(text, "[[[") {
			if err == nil {
				t.Error("ten thousand levels are taken")
			}
			continue
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}

func TestCheckShowsEveryText(t *testing.T) {
	var seen []string
	each := func(field, text string) error {
		seen = append(seen, field+"="+text)
		if text == "no" {
			return errors.New("no")
		}
		return nil
	}
	err := Check([]byte(`{"id":"a","groups":["b","c"],"header":{"x":["d"],"y":{"z":"e"}},"n":1,"last":"f","again":"no","never":"g"}`), each)
	if got := strings.Join(seen, " "); got != "id=a groups=b groups=c header=d header=e last=f again=no" || fmt.Sprint(err) != "no" {
		t.Errorf("%s, %v", got, err)
	}
}

// FuzzCheck holds that what passes is not changed by being decoded and written again: no
// name is lost, and no text becomes another.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{`{"a":"b"}`, `{"a":1,"A":2}`, `{"a":"\ud83d\ude00"}`, `{"a":"\ud800"}`, `[{"a":[]},{}]`, `"\u2028<"`, "\"\xff\""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var texts []string
		if Check(data, func(_, text string) error { texts = append(texts, text); return nil }) != nil {
			return
		}
		var value any
		in := json.NewDecoder(bytes.NewReader(data))
		in.UseNumber()
		if err := in.Decode(&value); err != nil {
			t.Fatalf("passes, and is not JSON: %v", err)
		}
		again, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		kept := 0
		if err := Check(again, func(string, string) error { kept++; return nil }); err != nil || kept != len(texts) {
			t.Fatalf("%q has %d texts, %q %d (%v)", data, len(texts), again, kept, err)
		}
		for _, text := range texts {
			if strings.ContainsRune(text, '\uFFFD') && !strings.Contains(string(data), "\uFFFD") && !strings.Contains(strings.ToLower(string(data)), `\ufffd`) {
				t.Fatalf("%q became %q", data, text)
			}
		}
	})
}
