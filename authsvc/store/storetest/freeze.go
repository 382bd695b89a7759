package storetest

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Freeze stops the process, as a machine does that hangs: connections stand, and nothing
// answers. It returns when that is so.
func (r *Redis) Freeze() {
	if err := r.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return // it has ended
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !r.stopped() {
		select {
		case <-tick.C:
		case <-r.gone:
			return
		}
	}
}

// Thaw lets it go on.
func (r *Redis) Thaw() { _ = r.cmd.Process.Signal(syscall.SIGCONT) }

// stopped tells whether all its threads are stopped. Where there is no /proc, it takes that
// for granted.
func (r *Redis) stopped() bool {
	files, _ := filepath.Glob("/proc/" + strconv.Itoa(r.cmd.Process.Pid) + "/task/*/stat")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		_, state, _ := bytes.Cut(text, []byte(") "))
		if !bytes.HasPrefix(state, []byte("T")) {
			return false
		}
	}
	return true
}
