package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stile-gate/stile/policy"
)

// keyFields is what can be said of any key, and changed.
type keyFields struct {
	Name      string   `json:"name,omitempty"`
	Scopes    []string `json:"scopes,omitempty"`
	Groups    []string `json:"groups,omitempty"`
	Routes    []string `json:"routes,omitempty"`
	Networks  []string `json:"networks,omitempty"`
	Limits    []string `json:"limits,omitempty"`
	NotBefore string   `json:"not_before,omitempty"`
	ExpiresAt string   `json:"expires_at,omitempty"`
	Disabled  bool     `json:"disabled,omitempty"`
}

// keyDoc is a key as the admin API shows it; Text only in the answer to its creation.
type keyDoc struct {
	ID       string `json:"id"`
	Text     string `json:"key,omitempty"`
	Consumer string `json:"consumer"`
	keyFields
	Opaque     bool   `json:"opaque,omitempty"`
	Lineage    string `json:"lineage,omitempty"`
	ReplacedBy string `json:"replaced_by,omitempty"`
	Version    int64  `json:"version,omitempty"`
	Created    string `json:"created,omitempty"`
	LastUsed   string `json:"last_used,omitempty"`
	Declared   bool   `json:"declared,omitempty"`
	Replaces   string `json:"replaces,omitempty"`       // in the answer to a rotation
	Until      string `json:"replaces_until,omitempty"` // when the one that it replaces ends
}

type keyPage struct {
	Keys []keyDoc `json:"keys"`
	Next string   `json:"next,omitempty"`
}

func keyHead() []string {
	return []string{"ID", "CONSUMER", "NAME", "STATUS", "SCOPES", "EXPIRES", "LAST USED", "CREATED"}
}

func (k keyDoc) row() []string {
	created := k.Created
	if k.Declared {
		created = "declared in the file"
	}
	return []string{k.ID, k.Consumer, k.Name, k.status(time.Now()), strings.Join(k.Scopes, " "), k.ExpiresAt, k.LastUsed, created}
}

// status is one word: what keeps the key from being used before what is only to be known.
func (k keyDoc) status(now time.Time) string {
	begin, _ := time.Parse(time.RFC3339, k.NotBefore)
	end, err := time.Parse(time.RFC3339, k.ExpiresAt)
	switch {
	case k.Disabled:
		return "disabled"
	case err == nil && !now.Before(end):
		return "expired"
	case now.Before(begin):
		return "not yet"
	case k.ReplacedBy != "":
		return "rotating"
	}
	return "active"
}

// printKey shows a key that was just made so that it cannot be overlooked.
func (p printer) printKey(k *keyDoc) error {
	if p.json || k.Text == "" {
		return p.print(k, keyHead(), k.row())
	}
	_, err := fmt.Fprintf(p.w, "%s\n\nKey %s of consumer %s. It is shown this once; only its hash is kept.\n", k.Text, k.ID, plainText(k.Consumer))
	if err == nil && k.Replaces != "" {
		_, err = fmt.Fprintf(p.w, "It replaces key %s, which is good until %s.\n", plainText(k.Replaces), plainText(k.Until))
	}
	return err
}

func newKey() *cobra.Command {
	cmd := group("key", "API keys of consumers", keyCreate(), keyUpdate(), keyRotate(), keyRevoke(), keyListVerb(), keyShow(), keyHash())
	adminFlags(cmd)
	return cmd
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
	fill(cmd, "consumer")
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
