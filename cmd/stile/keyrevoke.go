package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// appliedDoc says how long it took until every replica knew, and which do not yet.
type appliedDoc struct {
	Milliseconds int64    `json:"applied_ms"`
	Slow         []string `json:"slow"`
}

func keyRevoke() *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use: "revoke ID", Short: "Revoke a key for good", Args: takes(1, "the key's ID"),
		Example: `  stile key revoke k7Qd02mfPa --wait       # until every replica refuses it, up to 30s
  stile key revoke k7Qd02mfPa --wait=2m`,
		RunE: func(cmd *cobra.Command, args []string) error {
			path := "/v1/keys/" + url.PathEscape(args[0])
			if !cmd.Flags().Changed("wait") {
				return callAndPrint(cmd, http.MethodDelete, path, nil, nil)
			}
			return revokeAndWait(cmd, path, wait)
		},
	}
	cmd.Flags().DurationVar(&wait, "wait", 0, "wait until every replica knows, and say how long it took")
	cmd.Flags().Lookup("wait").NoOptDefVal = "30s"
	return cmd
}

// revokeAndWait fails when a replica does not know in time, although the key is revoked.
func revokeAndWait(cmd *cobra.Command, path string, wait time.Duration) error {
	if wait <= 0 {
		return &misuseError{fmt.Errorf("--wait=%s: say how long, such as --wait=30s", wait)}
	}
	p, err := newPrinter(cmd)
	if err != nil {
		return err
	}
	client, err := newAdminClient(cmd)
	if err != nil {
		return err
	}
	client.http.Timeout += wait
	var done appliedDoc
	if err := client.call(cmd.Context(), http.MethodDelete, path+"?wait="+wait.String(), nil, &done); err != nil {
		return err
	}
	switch {
	case p.json:
		err = json.NewEncoder(p.w).Encode(done)
	case len(done.Slow) == 0:
		_, err = fmt.Fprintf(p.w, "Revoked. Every replica knew after %d ms.\n", done.Milliseconds)
	default:
		_, err = fmt.Fprintf(p.w, "Revoked. After %d ms these replicas do not know yet: %s\n",
			done.Milliseconds, plainText(strings.Join(done.Slow, ", ")))
	}
	if err == nil && len(done.Slow) > 0 {
		return &toldError{exitFailed}
	}
	return err
}
