package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stile-gate/stile/policy"
)

// adminClient calls the admin API of a running stile.
type adminClient struct {
	base  string
	token policy.Secret
	http  *http.Client
}

// adminFlags adds what every verb over the admin API takes.
func adminFlags(cmd *cobra.Command) {
	cmd.PersistentFlags().String("admin", "", adminUsage)
	cmd.PersistentFlags().String("token", "", "admin token (default $STILE_TOKEN, which keeps it out of the process list)")
	cmd.PersistentFlags().StringP("output", "o", "table", "table or json")
	cmd.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		_, err := newPrinter(cmd) // before anything is done that could then not be shown
		return err
	}
}

const (
	defaultAdmin = "127.0.0.1:9180"
	adminUsage   = "host:port or URL of the admin API (default $STILE_ADMIN, else " + defaultAdmin + ")"
)

// newAdminClient reads the flags that adminFlags added, and the environment.
func newAdminClient(cmd *cobra.Command) (*adminClient, error) {
	u, err := adminURL(cmd)
	if err != nil {
		return nil, err
	}
	token := flagOrEnv(cmd, "token", "STILE_TOKEN")
	if token == "" {
		return nil, &misuseError{errors.New("no admin token: set STILE_TOKEN to the value that the server has as STILE_ADMIN_TOKEN")}
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) {
		return nil, &misuseError{fmt.Errorf("--admin http://%s would send the token in clear; use https, or ssh -L to reach it on loopback", u.Host)}
	}
	return &adminClient{
		base: u.Scheme + "://" + u.Host, token: policy.NewSecret(token),
		http: &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

// adminURL is where the admin API listens, by --admin or the environment: a URL, or host:port
// alone, as listen.admin has it.
func adminURL(cmd *cobra.Command) (*url.URL, error) {
	text := flagOrEnv(cmd, "admin", "STILE_ADMIN")
	if text == "" {
		text = defaultAdmin
	}
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, &misuseError{errors.New("--admin (or STILE_ADMIN): write host:port, or a URL such as http://host:port with nothing behind it")}
	}
	return u, nil
}

func flagOrEnv(cmd *cobra.Command, flag, env string) string {
	if value, err := cmd.Flags().GetString(flag); err == nil && value != "" {
		return value
	}
	return os.Getenv(env)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// call sends in (nil for none) and decodes the answer into out (nil for none).
func (c *adminClient) call(ctx context.Context, method, path string, in, out any) error {
	if in == nil {
		return c.send(ctx, method, path, "", nil, out)
	}
	text, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return c.send(ctx, method, path, "application/json", text, out)
}

// send is call with a body of a type, "" for none.
func (c *adminClient) send(ctx context.Context, method, path, kind string, body []byte, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("no answer from %s: %w\nIs `stile serve` running? --admin or STILE_ADMIN says where", c.base, errors.Unwrap(err))
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	switch {
	case err != nil:
		return fmt.Errorf("answer of %s: %w", c.base, err)
	case resp.StatusCode >= http.StatusMultipleChoices:
		return refusedCall(resp, text)
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("%s does not answer like stile's admin API: %w", c.base, err)
	}
	return nil
}

// refusedError is an answer that is not a good one, in words.
type refusedError struct {
	status int
	text   string
}

func (e *refusedError) Error() string { return e.text }

// refusedCall puts a problem document into words.
func refusedCall(resp *http.Response, text []byte) error {
	var p policy.Problem
	refused := &refusedError{status: resp.StatusCode}
	switch {
	case json.Unmarshal(text, &p) != nil || p.Title == "":
		refused.text = "the admin API answered " + resp.Status
	case p.Detail == "":
		refused.text = fmt.Sprintf("%s (%d)", p.Title, p.Status)
	default:
		refused.text = p.Detail
	}
	return refused
}
