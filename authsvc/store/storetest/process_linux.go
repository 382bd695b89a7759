package storetest

import (
	"os/exec"
	"syscall"
)

// endWithTest ends a process with ours, should that be killed.
func endWithTest(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
