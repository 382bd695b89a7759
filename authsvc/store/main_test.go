package store_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// TestMain runs the tests, or what another process of the tests is for.
func TestMain(m *testing.M) {
	if task := strings.SplitN(os.Getenv(childTask), " ", 3); len(task) == 3 {
		if err := children[task[0]](task[2], task[1]); err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// childTask names the variable that says what another process does, how, and with which file.
const childTask = "STILE_TEST_CHILD"

var children = map[string]func(path, how string) error{
	"hold": holdFile, "write": writeLives, "spend": spendOn,
}

// child is this test binary, once more.
type child struct {
	cmd   *exec.Cmd
	in    io.Closer // its end is the end of stdin
	lines *bufio.Scanner
}

func startChild(t *testing.T, what, how, path string, changes ...func(*exec.Cmd)) *child {
	t.Helper()
	self, err := os.Executable()
	check(t, err)
	c := &child{cmd: exec.Command(self)}
	c.cmd.Env = append(os.Environ(), childTask+"="+what+" "+how+" "+path)
	c.cmd.Stderr = os.Stderr
	for _, change := range changes {
		change(c.cmd)
	}
	c.in, err = c.cmd.StdinPipe()
	check(t, err)
	out, err := c.cmd.StdoutPipe()
	check(t, err)
	c.lines = bufio.NewScanner(out)
	check(t, c.cmd.Start())
	t.Cleanup(c.kill)
	return c
}

// line waits for what it says next; "" when it has ended.
func (c *child) line() string {
	if !c.lines.Scan() {
		return ""
	}
	return c.lines.Text()
}

// shoot ends it with SIGKILL. What it said before can be read yet.
func (c *child) shoot() { _ = c.cmd.Process.Kill() }

// kill returns when it is gone. It may be called twice.
func (c *child) kill() {
	c.shoot()
	_ = c.cmd.Wait()
}
