//go:build linux || darwin || freebsd

package store

import (
	"errors"
	"os"
	"syscall"
)

// inUse tells whether a process has locked a file as bbolt does.
func inUse(path string) (bool, error) {
	file, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer func() { _ = file.Close() }() // which lets go of the lock
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}

// room is how many bytes of a folder's disk we may still write, and how many it has.
func room(folder string) (free, all float64, err error) {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(folder, &disk); err != nil {
		return 0, 0, err
	}
	block := float64(disk.Bsize) // its type, and those of the others, differ from system to system
	return float64(disk.Bavail) * block, float64(disk.Blocks) * block, nil
}
