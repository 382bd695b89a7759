package edge

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stile-gate/stile/tests/servers"
)

// The commands by which the READMEs show that an edge cannot be got round answer as they
// say: pasted, with nothing but the address changed.
func TestReadmes(t *testing.T) {
	bash, _ := servers.Program(t, "bash"), servers.Program(t, "curl")
	for _, l := range lanes() {
		if l.dies == 0 {
			continue // the gateway is no edge of anybody else's
		}
		t.Run(l.name, func(t *testing.T) { checkReadme(t, newStand(t, l), bash) })
	}
}

func checkReadme(t *testing.T, s *stand, bash string) {
	folder, _, _ := strings.Cut(s.name, "-")
	text, err := os.ReadFile(filepath.Join(deployed(folder), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## How to see that it cannot be got round\n")
	blocks := commands(section)
	if len(blocks) != 3 {
		t.Fatalf("the section has %d blocks of commands, want 3", len(blocks))
	}
	paste := func(block string) []string {
		script := strings.ReplaceAll(block, "127.0.0.1:8080", s.addr)
		cmd := exec.Command(bash, "-c", script)
		cmd.Env = append(os.Environ(), "KEY="+s.key)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return strings.Fields(string(out))
	}
	ask, _, _ := strings.Cut(blocks[0], "\nask ") // the function, and where
	checkAnswers(t, blocks[0], paste(blocks[0]))
	before := len(s.upstream.Requests())
	paste(blocks[1])
	if seen := s.upstream.Requests()[before:]; len(seen) != 1 {
		t.Errorf("%s reached the upstream %d times", blocks[1], len(seen))
	} else {
		s.isAcme(t, seen[0])
	}
	s.stile.Stop()
	checkAnswers(t, blocks[2], paste(ask+"\n"+blocks[2]))
}

// commands lists the sh blocks of a text.
func commands(text string) []string {
	var blocks []string
	for _, rest := range strings.Split(text, "```sh\n")[1:] {
		block, _, _ := strings.Cut(rest, "```")
		blocks = append(blocks, block)
	}
	return blocks
}

// checkAnswers compares what came out with what stands behind the # of each line.
func checkAnswers(t testing.TB, block string, got []string) {
	t.Helper()
	var lines []string
	for line := range strings.Lines(block) {
		if strings.Contains(line, " # ") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	if len(got) != len(lines) {
		t.Fatalf("%d commands answer %d times: %q", len(lines), len(got), got)
	}
	for i, line := range lines {
		_, want, _ := strings.Cut(line, " # ")
		if want, _, _ = strings.Cut(want, " "); got[i] != want {
			t.Errorf("%s\nanswers %s", line, got[i])
		}
	}
}
