package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

// keyFlags are those of create and of update. The times are read by keyTimes.
func keyFlags(cmd *cobra.Command, k *keyFields) {
	flags := cmd.Flags()
	flags.StringVar(&k.Name, "name", "", "what it is for, in your words")
	flags.StringSliceVar(&k.Scopes, "scope", nil, "scope; may be given more than once, as all of these lists")
	flags.StringSliceVar(&k.Groups, "group", nil, "group, beside those of its consumer")
	flags.StringSliceVar(&k.Routes, "route", nil, "name of a route that it is for; all when left out")
	flags.StringSliceVar(&k.Networks, "network", nil, "addresses that it is for, such as 192.0.2.0/24; all when left out")
	flags.StringSliceVar(&k.Limits, "limit", nil, "name of a limit of its own, beside the route's")
	flags.StringVar(&k.NotBefore, "not-before", "", "when it begins: a duration from now (24h) or a time (2027-01-31T00:00:00Z)")
	flags.StringVar(&k.ExpiresAt, "expires", "", "when it ends, likewise; never when left out")
}

// keyTimes puts the times that flags gave into the form of the API.
func keyTimes(k *keyFields) (err error) {
	if k.NotBefore, err = moment("--not-before", k.NotBefore); err != nil {
		return err
	}
	k.ExpiresAt, err = moment("--expires", k.ExpiresAt)
	return err
}

// moment reads a duration from now or an RFC 3339 time.
func moment(flag, text string) (string, error) {
	if text == "" {
		return "", nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return time.Now().Add(d).UTC().Format(time.RFC3339), nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at.UTC().Format(time.RFC3339), nil
	}
	return "", &misuseError{fmt.Errorf("%s %q is neither a duration such as 2160h nor a time such as 2027-01-31T00:00:00Z", flag, text)}
}

func keyCreate() *cobra.Command {
	var in struct {
		Consumer string `json:"consumer"`
		keyFields
	}
	cmd := &cobra.Command{
		Use: "create --consumer ID", Short: "Create a key, and show it this once", Args: takes(0, "no arguments; the consumer goes into --consumer"),
		Example: `  stile key create --consumer acme --scope orders:read --expires 2160h
  stile key create --consumer acme --route orders --network 192.0.2.0/24`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if in.Consumer == "" {
				return &misuseError{errors.New("whose key? Say --consumer ID")}
			}
			if err := keyTimes(&in.keyFields); err != nil {
				return err
			}
			return callAndPrint(cmd, http.MethodPost, "/v1/keys", in, &keyDoc{})
		},
	}
	cmd.Flags().StringVar(&in.Consumer, "consumer", "", "id of the consumer that the key is for")
	keyFlags(cmd, &in.keyFields)
	fill(cmd, "consumer", "name", "scope", "group", "route", "network", "limit", "not-before", "expires")
	return cmd
}

// keyUpdate reads, changes what flags name and writes back with the version that was read,
// so that somebody else's change in between is not lost.
func keyUpdate() *cobra.Command {
	var change keyFields
	cmd := &cobra.Command{
		Use: "update ID", Short: "Change what the flags name, and nothing else", Args: takes(1, "the key's ID"),
		Long: "Change what the flags name, and nothing else. An empty value takes away what is there.",
		Example: `  stile key update k7Qd02mfPa --scope orders:read,orders:write
  stile key update k7Qd02mfPa --disabled
  stile key update k7Qd02mfPa --expires ""     # never`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := keyTimes(&change); err != nil {
				return err
			}
			client, err := newAdminClient(cmd)
			if err != nil {
				return err
			}
			var k keyDoc
			path := "/v1/keys/" + url.PathEscape(args[0])
			if err := client.call(cmd.Context(), http.MethodGet, path, nil, &k); err != nil {
				return err
			}
			in := struct {
				keyFields
				Version int64 `json:"version"`
			}{change.over(k.keyFields, cmd.Flags().Changed), k.Version}
			return callAndPrint(cmd, http.MethodPut, path, in, &keyDoc{})
		},
	}
	keyFlags(cmd, &change)
	cmd.Flags().BoolVar(&change.Disabled, "disabled", false, "refuse it for now; --disabled=false lets it in again")
	return cmd
}

// over is what is there, with what flags changed.
func (k keyFields) over(there keyFields, changed func(flag string) bool) keyFields {
	for flag, set := range map[string]func(){
		"name":       func() { there.Name = k.Name },
		"scope":      func() { there.Scopes = k.Scopes },
		"group":      func() { there.Groups = k.Groups },
		"route":      func() { there.Routes = k.Routes },
		"network":    func() { there.Networks = k.Networks },
		"limit":      func() { there.Limits = k.Limits },
		"not-before": func() { there.NotBefore = k.NotBefore },
		"expires":    func() { there.ExpiresAt = k.ExpiresAt },
		"disabled":   func() { there.Disabled = k.Disabled },
	} {
		if changed(flag) {
			set()
		}
	}
	return there
}

func keyRotate() *cobra.Command {
	var in struct {
		Overlap string `json:"overlap"`
		Name    string `json:"name,omitempty"`
	}
	cmd := &cobra.Command{
		Use: "rotate ID", Short: "Make a key in place of another, which stays good for a while", Args: takes(1, "the old key's ID"),
		Long: `Makes a key that may do what the old one may, and shows it this once. Both are good until
the overlap is over; then the old one has expired. Limits count both as one.`,
		Example: `  stile key rotate k7Qd02mfPa --overlap 24h`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if d, err := time.ParseDuration(in.Overlap); err != nil || d <= 0 {
				return &misuseError{fmt.Errorf("--overlap %q is not a duration such as 24h", in.Overlap)}
			}
			return callAndPrint(cmd, http.MethodPost, "/v1/keys/"+url.PathEscape(args[0])+"/rotate", in, &keyDoc{})
		},
	}
	cmd.Flags().StringVar(&in.Overlap, "overlap", "24h", "for how long both keys are good")
	cmd.Flags().StringVar(&in.Name, "name", "", "name of the new key (default that of the old one)")
	fill(cmd, "overlap", "name")
	return cmd
}
