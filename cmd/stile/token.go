package main

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

// revocationDoc is what the admin API takes.
type revocationDoc struct {
	Issuer       string `json:"issuer"`
	JTI          string `json:"jti,omitempty"`
	Subject      string `json:"subject,omitempty"`
	Session      string `json:"session,omitempty"`
	IssuedBefore string `json:"issued_before,omitempty"`
	Until        string `json:"until,omitempty"`
}

func newToken() *cobra.Command {
	cmd := group("token", "Tokens of issuers", tokenRevoke())
	adminFlags(cmd)
	return cmd
}

func tokenRevoke() *cobra.Command {
	var in revocationDoc
	var pasted, until, before string
	cmd := &cobra.Command{
		Use: "revoke --issuer URL --jti ID | --subject NAME | --session ID", Short: "Refuse tokens before they expire",
		Args: takes(0, "no arguments; what to revoke goes into --jti, --subject, --session or --jwt -"),
		Long: `Refuse one token (--jti), the tokens of a session (--session), or those that a subject
was issued until now or --issued-before (--subject). --jwt - reads a whole token from
standard input, takes its issuer and jti, and does not verify it. --token is the admin
token, here as for every verb.`,
		Example: `  stile token revoke --issuer https://id.example.com --subject alice
  stile token revoke --jwt - < token.txt`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if pasted != "" {
				if err := in.takePasted(cmd, pasted); err != nil {
					return err
				}
			}
			if err := in.check(); err != nil {
				return err
			}
			if in.Until, err = laterThan(in.Until, "until", until); err != nil {
				return err
			}
			if before != "" {
				if in.IssuedBefore, err = timeOf("issued-before", before); err != nil {
					return err
				}
			}
			return in.send(cmd)
		},
	}
	cmd.Flags().StringVar(&in.Issuer, "issuer", "", "iss of the tokens, to the byte")
	cmd.Flags().StringVar(&in.JTI, "jti", "", "the one token with this jti")
	cmd.Flags().StringVar(&in.Subject, "subject", "", "the tokens with this sub")
	cmd.Flags().StringVar(&in.Session, "session", "", "the tokens with this sid")
	cmd.Flags().StringVar(&before, "issued-before", "", "with --subject: those issued at this time or before it (2027-01-31T00:00:00Z); now when left out")
	cmd.Flags().StringVar(&until, "until", "", "when the last of them expires: a duration (48h) or a time; 24h when left out, a year at most")
	cmd.Flags().StringVar(&pasted, "jwt", "", "- to read the token from standard input")
	fill(cmd, "issuer", "jti", "subject", "session", "issued-before", "until", "jwt")
	return cmd
}

// check finds what the server would refuse, in the words of the flags.
func (in *revocationDoc) check() error {
	set := 0
	for _, text := range []string{in.JTI, in.Subject, in.Session} {
		if text != "" {
			set++
		}
	}
	switch {
	case set != 1:
		return &misuseError{errors.New("which tokens? Say one of --jti, --subject, --session and --jwt -")}
	case in.Issuer == "":
		return &misuseError{errors.New("whose tokens? Say --issuer, which is their iss to the byte")}
	}
	return nil
}

// takePasted has the issuer and jti of a token stand for the flags. Its end bounds how
// long the revocation is kept, but never makes that shorter: nobody has verified it.
func (in *revocationDoc) takePasted(cmd *cobra.Command, flag string) error {
	switch {
	case flag != "-":
		return &misuseError{errors.New("--jwt takes - and reads the token from standard input: an argument stands in the process list")}
	case *in != revocationDoc{}:
		return &misuseError{errors.New("--jwt says issuer and jti itself; leave --issuer, --jti, --subject and --session out")}
	}
	token, err := readPasted(cmd.InOrStdin())
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(cmd.ErrOrStderr(), "Read from the token, without verifying it: issuer %s, jti %s\n", plainText(token.Issuer), plainText(token.ID)); err != nil {
		return err
	}
	if token.ID == "" {
		return fmt.Errorf("the token has no jti, so it cannot be told from others: revoke its subject or session instead, "+
			"with --issuer and --subject or --session; its sub is %q and its sid %q", token.Subject, token.Session)
	}
	in.Issuer, in.JTI = token.Issuer, token.ID
	now := time.Now()
	end, longest := token.end(), now.Add(365*24*time.Hour)
	if end.After(longest) {
		end = longest
		_, err = fmt.Fprintln(cmd.ErrOrStderr(), "It expires in more than a year, and a revocation stands for a year: repeat it before then.")
	}
	if end.After(now.Add(24 * time.Hour)) {
		in.Until = end.UTC().Format(time.RFC3339)
	}
	return err
}

func (in *revocationDoc) send(cmd *cobra.Command) error {
	p, err := newPrinter(cmd)
	if err != nil {
		return err
	}
	if err := callAndPrint(cmd, http.MethodPost, "/v1/tokens/revoke", in, nil); err != nil || p.json {
		return err
	}
	_, err = fmt.Fprintln(p.w, "Revoked.")
	return err
}

// laterThan reads --until, which wins, or keeps what is there.
func laterThan(there, flag, text string) (string, error) {
	if text == "" {
		return there, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return time.Now().Add(d).UTC().Format(time.RFC3339), nil
	}
	return timeOf(flag, text)
}

func timeOf(flag, text string) (string, error) {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return "", &misuseError{fmt.Errorf("--%s %q is not a time such as 2027-01-31T00:00:00Z", flag, text)}
	}
	return at.UTC().Format(time.RFC3339Nano), nil
}
