package store

import (
	"errors"
	"fmt"
	"strings"
)

// FileOf is the path in file:PATH, or file:///PATH, which is taken as it is; false for
// another URL.
func FileOf(rawURL string) (path string, ok bool) {
	path, ok = strings.CutPrefix(rawURL, "file:")
	if rest, found := strings.CutPrefix(path, "//"); found && strings.HasPrefix(rest, "/") {
		path = rest
	}
	return path, ok
}

// CheckURL tells what is wrong with the URL of a store without opening it: memory:, one of
// FileOf or one of OpenRedis. The error holds nothing that could be of a password.
func CheckURL(rawURL string) error {
	if rawURL == "memory:" {
		return nil
	}
	if path, ok := FileOf(rawURL); ok {
		switch {
		case path == "":
			return errors.New("store: file: names no file")
		case strings.HasPrefix(path, "//"):
			return errors.New("store: a file has no host: write file:/path, or file:path from the configuration's folder")
		}
		return nil
	}
	if strings.HasPrefix(rawURL, "memory:") {
		return errors.New(`store: write "memory:" and nothing behind it`)
	}
	if !strings.HasPrefix(rawURL, "redis") {
		return errors.New(`store: no such kind of store; there are "memory:", file:PATH, redis://, redis+sentinel:// and redis+cluster://`)
	}
	if _, err := parseRedisURL(rawURL); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}
