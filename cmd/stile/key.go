package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stile-gate/stile/policy"
)

// keyDoc is a key as the admin API shows it; Text only in the answer to its creation.
type keyDoc struct {
	ID        string   `json:"id"`
	Text      string   `json:"key,omitempty"`
	Consumer  string   `json:"consumer"`
	Name      string   `json:"name,omitempty"`
	Scopes    []string `json:"scopes,omitempty"`
	ExpiresAt string   `json:"expires_at,omitempty"`
	Created   string   `json:"created,omitempty"`
	Declared  bool     `json:"declared,omitempty"`
}

type keyPage struct {
	Keys []keyDoc `json:"keys"`
	Next string   `json:"next,omitempty"`
}

func keyHead() []string { return []string{"ID", "CONSUMER", "NAME", "SCOPES", "EXPIRES", "CREATED"} }

func (k keyDoc) row() []string {
	created := k.Created
	if k.Declared {
		created = "declared in the file"
	}
	return []string{k.ID, k.Consumer, k.Name, strings.Join(k.Scopes, " "), k.ExpiresAt, created}
}

// printKey shows a key that was just made so that it cannot be overlooked.
func (p printer) printKey(k *keyDoc) error {
	if p.json || k.Text == "" {
		return p.print(k, keyHead(), k.row())
	}
	_, err := fmt.Fprintf(p.w, "%s\n\nKey %s of consumer %s. It is shown this once; only its hash is kept.\n", k.Text, k.ID, k.Consumer)
	return err
}

func newKey() *cobra.Command {
	cmd := group("key", "API keys of consumers", keyCreate(), keyListVerb(), keyShow(), keyRevoke(), keyHash())
	adminFlags(cmd)
	return cmd
}

func keyCreate() *cobra.Command {
	var in struct {
		Consumer  string   `json:"consumer"`
		Name      string   `json:"name,omitempty"`
		Scopes    []string `json:"scopes,omitempty"`
		ExpiresAt string   `json:"expires_at,omitempty"`
	}
	var expires string
	cmd := &cobra.Command{
		Use: "create --consumer ID", Short: "Create a key, and show it this once", Args: takes(0, "no arguments; the consumer goes into --consumer"),
		Example: `  stile key create --consumer acme --scope orders:read --expires 2160h`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if in.Consumer == "" {
				return &misuseError{errors.New("whose key? Say --consumer ID")}
			}
			at, err := expiry(expires)
			if err != nil {
				return err
			}
			in.ExpiresAt = at
			return callAndPrint(cmd, http.MethodPost, "/v1/keys", in, &keyDoc{})
		},
	}
	cmd.Flags().StringVar(&in.Consumer, "consumer", "", "id of the consumer that the key is for")
	cmd.Flags().StringVar(&in.Name, "name", "", "what it is for, in your words")
	cmd.Flags().StringSliceVar(&in.Scopes, "scope", nil, "scope; may be given more than once")
	cmd.Flags().StringVar(&expires, "expires", "", "when it ends: a duration (2160h) or a time (2027-01-31T00:00:00Z); never when left out")
	return cmd
}

// expiry reads a duration from now or an RFC 3339 time.
func expiry(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return time.Now().Add(d).UTC().Format(time.RFC3339), nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at.UTC().Format(time.RFC3339), nil
	}
	return "", &misuseError{fmt.Errorf("--expires %q is neither a duration such as 2160h nor a time such as 2027-01-31T00:00:00Z", text)}
}

func keyListVerb() *cobra.Command {
	var consumer string
	cmd := &cobra.Command{
		Use: "list", Short: "List keys", Args: takes(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			query := url.Values{}
			if consumer != "" {
				query.Set("consumer", consumer)
			}
			all, err := everyPage(cmd, "/v1/keys", query, func(p keyPage) ([]keyDoc, string) { return p.Keys, p.Next })
			if err != nil {
				return err
			}
			return printAll(cmd, keyHead(), all)
		},
	}
	cmd.Flags().StringVar(&consumer, "consumer", "", "only those of this consumer")
	return cmd
}

func keyShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show one key, without its secret", Args: takes(1, "the key's ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return callAndPrint(cmd, http.MethodGet, "/v1/keys/"+url.PathEscape(args[0]), nil, &keyDoc{})
		},
	}
}

func keyRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke ID", Short: "Revoke a key for good", Args: takes(1, "the key's ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return callAndPrint(cmd, http.MethodDelete, "/v1/keys/"+url.PathEscape(args[0]), nil, nil)
		},
	}
}

// keyHash makes a key for the `consumers:` of a configuration file, without a server.
func keyHash() *cobra.Command {
	var prefix string
	cmd := &cobra.Command{
		Use: "generate", Short: "Make a key and the hash to declare in stile.yaml, without a server", Args: takes(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := newPrinter(cmd)
			if err != nil {
				return err
			}
			id, key := policy.KeyFormat{Prefix: prefix}.New()
			if p.json {
				return json.NewEncoder(p.w).Encode(map[string]string{"id": id, "key": key.Reveal(), "hash": policy.PlainKeyHash(key)})
			}
			_, err = fmt.Fprintf(p.w, "%s\n\nFor stile.yaml, below its consumer:\n  keys: [{ id: %s, hash: %q }]\n", key.Reveal(), id, policy.PlainKeyHash(key))
			return err
		},
	}
	cmd.Flags().StringVar(&prefix, "prefix", policy.DefaultKeyPrefix, "the keys.prefix of stile.yaml")
	return cmd
}
