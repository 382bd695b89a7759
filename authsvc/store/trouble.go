package store

import (
	"errors"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// Trouble says in a few words what an error of a store means, without the error's text: that
// may name what only the log should.
func Trouble(err error) string {
	var answer redis.Error
	if errors.As(err, &answer) {
		prefix, _, _ := strings.Cut(answer.Error(), " ")
		if means, ok := redisTroubles()[prefix]; ok {
			return means
		}
		return "it answers with an error"
	}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return "its disk is full"
	case errors.Is(err, syscall.EROFS):
		return "its disk is read-only"
	case errors.Is(err, ErrCorrupt):
		return "it holds a value that is not what its name says"
	}
	return "it does not answer"
}

// redisTroubles are by the first word of an error.
func redisTroubles() map[string]string {
	return map[string]string{
		"READONLY":    "it is a replica and takes no writes",
		"OOM":         "its memory is full",
		"MISCONF":     "it cannot write to its disk, and takes no writes",
		"LOADING":     "it is loading its data",
		"BUSY":        "a script keeps it busy",
		"MASTERDOWN":  "it has lost its master",
		"CLUSTERDOWN": "its cluster is down",
		"NOREPLICAS":  "it has too few replicas to take writes",
		"NOAUTH":      "it wants a password",
		"WRONGPASS":   "it refuses our password",
		"NOPERM":      "its user lacks a right",
	}
}
