package strictjson

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestObject(t *testing.T) {
	deep := func(n int) string { return `{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}` }
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{
		"plain":               {`{"a":1,"b":{"a":[true,null,"x"]}}`, true},
		"empty":               {`{}`, true},
		"spaces":              {" {\n} ", true},
		"depth of the limit":  {deep(maxDepth - 1), true},
		"deeper":              {deep(maxDepth), false},
		"much deeper":         {deep(100_000), false},
		"no object":           {`[1]`, false},
		"null":                {`null`, false},
		"nothing":             {``, false},
		"trailing":            {`{} {}`, false},
		"trailing bytes":      {`{}x`, false},
		"NUL behind":          {"{}\x00", false},
		"byte order mark":     {"\ufeff{}", false},
		"comma at the end":    {`{"a":1,}`, false},
		"comment":             {`{"a":1/**/}`, false},
		"single quotes":       {`{'a':1}`, false},
		"NaN":                 {`{"a":NaN}`, false},
		"leading zero":        {`{"a":01}`, false},
		"not UTF-8 in value":  {"{\"a\":\"\xff\"}", false},
		"not UTF-8 in name":   {"{\"\xff\":1}", false},
		"overlong":            {"{\"a\":\"\xc0\xaf\"}", false},
		"twice":               {`{"a":1,"a":1}`, false},
		"twice, escaped":      {`{"a":1,"\u0061":2}`, false},
		"case":                {`{"iss":"good","ISS":"evil"}`, false},
		"case of Unicode":     {`{"sub":"good","ſub":"evil"}`, false},
		"Kelvin sign":         {`{"k":1,"` + "\u212a" + `":2}`, false},
		"twice below":         {`{"a":{"b":[{"c":1,"c":2}]}}`, false},
		"case below":          {`{"a":{"roles":1,"Roles":2}}`, false},
		"same in two objects": {`{"a":{"c":1},"b":{"c":1}}`, true},
		"control character":   {"{\"a\":\"\n\"}", false},
		"surrogate pair":      {`{"a":"\ud83d\ude00"}`, true},
		"pair, upper case":    {`{"a":"\uD83D\uDE00x"}`, true},
		"high half":           {`{"a":"\ud83d"}`, false},
		"high half, then x":   {`{"a":"\ud83dxxxxxxx"}`, false},
		"two high halves":     {`{"a":"\ud83d\ud83d\ude00"}`, false},
		"low half":            {`{"a":"\ude00"}`, false},
		"low half in a name":  {`{"\uDE00":1}`, false},
		"escaped backslash":   {`{"a":"\\ud83d"}`, true},
		"no surrogate":        {`{"a":"\ud7ff\ue000"}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Object([]byte(c.text))
			if (err == nil) != c.ok {
				t.Errorf("Object: %v", err)
			}
		})
	}
}

func TestObjectKeepsNumbers(t *testing.T) {
	object, err := Object([]byte(`{"n":9007199254740993.10}`))
	if err != nil || object["n"] != json.Number("9007199254740993.10") {
		t.Errorf("got %v, %v", object["n"], err)
	}
}

// FuzzObject holds the decoder against encoding/json: what is accepted reads the same in
// both, and what is refused is either not JSON or ambiguous.
func FuzzObject(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"iss":"a","ISS":"b"}`, `{"a":[1,2,{"b":null}]}`, `{"a":"\ud800"}`, `{"a":1e400}`, `{"a":1}{}`,
		"{\"\xff\":1}", `{"a":{"a":{"a":{}}}}`, `{"a":"\\\ud83d\ude00"}`, `{"ſ":1,"S":2}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Object(data)
		var want map[string]any
		d := json.NewDecoder(strings.NewReader(string(data)))
		d.UseNumber()
		wantErr := d.Decode(&want)
		if err != nil {
			if json.Valid(data) && errors.Is(err, errNotObject) && wantErr == nil && want != nil {
				if !strings.ContainsRune(string(data), '\ufffd') { // not UTF-8
					t.Fatalf("refused as no object: %q", data)
				}
			}
			return
		}
		if wantErr != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: got %v, encoding/json %v (%v)", data, got, want, wantErr)
		}
		for a := range got {
			for b := range got {
				if a != b && (strings.EqualFold(a, b) || foldCase(a) == foldCase(b)) {
					t.Fatalf("%q and %q are the same but for case", a, b)
				}
			}
		}
		// A strict object, written again, are still strict, and the same.
		again, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if second, err := Object(again); err != nil || !reflect.DeepEqual(got, second) {
			t.Fatalf("%q: written again %v (%v)", data, second, err)
		}
	})
}
