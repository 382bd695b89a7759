package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

// newHealth asks a running stile whether it is alive, for a container that holds nothing
// but this binary.
func newHealth() *cobra.Command {
	var ready bool
	cmd := &cobra.Command{
		Use: "health", Short: "Ask a running stile whether it is alive (for container health checks)", Args: takes(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			path := "/healthz"
			if ready {
				path = "/readyz"
			}
			u, err := adminURL(cmd)
			if err != nil {
				return err
			}
			client := http.Client{Timeout: 2 * time.Second}
			req, err := http.NewRequestWithContext(cmd.Context(), http.MethodGet, u.Scheme+"://"+u.Host+path, nil)
			if err != nil {
				return err
			}
			resp, err := client.Do(req)
			if err != nil {
				return fmt.Errorf("not alive: %w", errors.Unwrap(err))
			}
			defer func() { _ = resp.Body.Close() }()
			text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n", text); err != nil {
				return err
			}
			if resp.StatusCode != http.StatusOK {
				return fmt.Errorf("%s answers %s", path, resp.Status)
			}
			return nil
		},
	}
	cmd.Flags().String("admin", "", adminUsage)
	cmd.Flags().BoolVar(&ready, "ready", false, "ask whether it is ready, not only alive")
	return cmd
}
