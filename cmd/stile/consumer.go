package main

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

// consumerDoc is a consumer as the admin API shows and takes it.
type consumerDoc struct {
	ID       string   `json:"id"`
	Username string   `json:"username,omitempty"`
	CustomID string   `json:"custom_id,omitempty"`
	Groups   []string `json:"groups,omitempty"`
	Disabled bool     `json:"disabled,omitempty"`
	Version  int64    `json:"version,omitempty"`
	Created  string   `json:"created,omitempty"`
	Updated  string   `json:"updated,omitempty"`
	Declared bool     `json:"declared,omitempty"`
}

type consumerPage struct {
	Consumers []consumerDoc `json:"consumers"`
	Next      string        `json:"next,omitempty"`
}

func consumerHead() []string { return []string{"ID", "USERNAME", "CUSTOM ID", "GROUPS", "STATUS"} }

func (c consumerDoc) row() []string {
	status := "active"
	if c.Disabled {
		status = "disabled"
	}
	if c.Declared {
		status += ", declared in the file"
	}
	return []string{c.ID, c.Username, c.CustomID, strings.Join(c.Groups, ","), status}
}

func newConsumer() *cobra.Command {
	cmd := group("consumer", "Consumers in the books of a running stile",
		consumerCreate(), consumerUpdate(), consumerVerb("show", "Show one consumer", http.MethodGet),
		consumerVerb("delete", "Delete a consumer and all its keys", http.MethodDelete), consumerListVerb())
	adminFlags(cmd)
	return cmd
}

func consumerFlags(cmd *cobra.Command, c *consumerDoc) {
	cmd.Flags().StringVar(&c.Username, "username", "", "name for people, sent as X-Consumer-Username")
	cmd.Flags().StringVar(&c.CustomID, "custom-id", "", "your own id of it, sent as X-Consumer-Custom-ID")
	cmd.Flags().StringSliceVar(&c.Groups, "group", nil, "group; may be given more than once")
}

func consumerCreate() *cobra.Command {
	var c consumerDoc
	cmd := &cobra.Command{
		Use: "create ID", Short: "Create a consumer", Args: takes(1, "the new consumer's ID"),
		Example: `  stile consumer create acme --username "Acme Ltd" --group partners`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c.ID = args[0]
			return callAndPrint(cmd, http.MethodPost, "/v1/consumers", c, &c)
		},
	}
	consumerFlags(cmd, &c)
	fill(cmd, "username", "custom-id", "group")
	return cmd
}

// consumerUpdate reads, changes what flags name and writes back with the version that was
// read, so that somebody else's change in between is not lost.
func consumerUpdate() *cobra.Command {
	var change consumerDoc
	cmd := &cobra.Command{
		Use: "update ID", Short: "Change what the flags name, and nothing else", Args: takes(1, "the consumer's ID"),
		Long: "Change what the flags name, and nothing else. An empty value takes away what is there.",
		Example: `  stile consumer update acme --group partners,beta
  stile consumer update acme --disabled`,
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := newAdminClient(cmd)
			if err != nil {
				return err
			}
			var c consumerDoc
			path := "/v1/consumers/" + url.PathEscape(args[0])
			if err := client.call(cmd.Context(), http.MethodGet, path, nil, &c); err != nil {
				return err
			}
			flags := cmd.Flags()
			if flags.Changed("username") {
				c.Username = change.Username
			}
			if flags.Changed("custom-id") {
				c.CustomID = change.CustomID
			}
			if flags.Changed("group") {
				c.Groups = change.Groups
			}
			if flags.Changed("disabled") {
				c.Disabled = change.Disabled
			}
			c.Created, c.Updated, c.Declared = "", "", false
			return callAndPrint(cmd, http.MethodPut, path, c, &c)
		},
	}
	consumerFlags(cmd, &change)
	cmd.Flags().BoolVar(&change.Disabled, "disabled", false, "refuse all its keys; --disabled=false lets them in again")
	return cmd
}

func consumerVerb(verb, short, method string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " ID", Short: short, Args: takes(1, "the consumer's ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := "/v1/consumers/" + url.PathEscape(args[0])
			if method == http.MethodDelete {
				return callAndPrint(cmd, method, path, nil, nil)
			}
			return callAndPrint(cmd, method, path, nil, &consumerDoc{})
		},
	}
}

func consumerListVerb() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List consumers", Args: takes(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := everyPage(cmd, "/v1/consumers", nil, func(p consumerPage) ([]consumerDoc, string) { return p.Consumers, p.Next })
			if err != nil {
				return err
			}
			return printAll(cmd, consumerHead(), all)
		},
	}
}
