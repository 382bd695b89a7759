package store

import (
	"context"
	"fmt"
)

// claimCustomID makes c's custom id lead to c, and lets a script write it within claimTime.
func (r *Redis) claimCustomID(ctx context.Context, c Consumer, nonce string) error {
	if err := r.client.Set(ctx, consumerClaimKey(c.ID), nonce, claimTime).Err(); err != nil {
		return fmt.Errorf("claim custom id of consumer %q: %w", c.ID, err)
	}
	holder, err := r.claim(ctx, customRefKey(c.CustomID), ref{consumer: c.ID, nonce: nonce}, r.holdsCustomID)
	switch {
	case err != nil:
		return fmt.Errorf("claim custom id of consumer %q: %w", c.ID, err)
	case holder == nil:
		return nil
	}
	r.unclaim(ctx, c.ID, nonce)
	if holder.consumer == c.ID {
		return errOvertaken
	}
	return customIDTaken(c)
}

func (r *Redis) holdsCustomID(ctx context.Context, f ref) (bool, error) {
	keys := []string{consumerKey(f.consumer), consumerClaimKey(f.consumer)}
	return holdsCustomScript.Run(ctx, r.client, keys, f.nonce).Bool()
}

// unclaim frees a custom id that was claimed and not written. The ref may stay: nothing
// stands behind it, so that the next claim replaces it. Without this the claim expires.
func (r *Redis) unclaim(ctx context.Context, consumer, nonce string) {
	_ = r.run(ctx, releaseScript, consumerClaimKey(consumer), nonce)
}

// releaseCustomID is for one that a consumer has no longer. It is tidiness only, as unclaim.
func (r *Redis) releaseCustomID(ctx context.Context, customID string, f ref) {
	if customID != "" {
		_ = r.run(ctx, releaseScript, customRefKey(customID), f.String())
	}
}
