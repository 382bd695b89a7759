package servers

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Nginx runs the nginx.conf of a folder, and what it includes. Listen is the address on
// which the files let it listen; it, like the old text of each further pair, is replaced
// throughout the folder. The process gets a free address instead.
func Nginx(t testing.TB, folder, listen string, replacements ...string) *Process {
	t.Helper()
	program, dir := Program(t, "nginx"), t.TempDir()
	// A file meant for /etc/nginx names no temporary paths. The built-in ones are the
	// system's, and not ours to write to.
	paths := "http {\n\taccess_log off;\n"
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		paths += "\t" + kind + "_temp_path " + filepath.Join(dir, kind) + ";\n"
	}
	replacements = append(replacements, "http {\n", paths)
	global := "daemon off; error_log stderr info; pid " + filepath.Join(dir, "nginx.pid") + ";"
	if os.Geteuid() == 0 {
		global += " user root;" // else the workers are nobody, who cannot enter dir
	}
	return edge(t, "nginx", folder, dir, listen, replacements, func() *exec.Cmd {
		return command(program, "-p", dir, "-c", filepath.Join(dir, "nginx.conf"), "-g", global)
	})
}

// Caddy runs the Caddyfile of a folder. The arguments are those of Nginx.
func Caddy(t testing.TB, folder, listen string, replacements ...string) *Process {
	t.Helper()
	program, dir := Program(t, "caddy"), t.TempDir()
	return edge(t, "caddy", folder, dir, listen, replacements, func() *exec.Cmd {
		cmd := command(program, "run", "--config", "Caddyfile")
		cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir)
		return cmd
	})
}

// Traefik runs the traefik.yml of a folder. The arguments are those of Nginx. The binary
// is the one that TRAEFIK_BIN names, or that is on PATH; no distribution packages it, so
// it may be missing, under CI too.
func Traefik(t testing.TB, folder, listen string, replacements ...string) *Process {
	t.Helper()
	program := os.Getenv("TRAEFIK_BIN")
	if program == "" {
		var err error
		if program, err = lookPath("traefik"); err != nil {
			t.Skip("SKIP: no traefik on PATH and none in TRAEFIK_BIN")
		}
	}
	dir := t.TempDir()
	p := edge(t, "traefik", folder, dir, listen, replacements, func() *exec.Cmd {
		return command(program, "--configFile=traefik.yml")
	})
	// It listens before it has read where things go to.
	Until(t, "traefik has routers", func() error {
		if r := Send(t, p.Addr, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); strings.HasPrefix(r.Body, "404 page not found") {
			return errors.New("no router")
		}
		return nil
	})
	return p
}

// edge places the files with a free address in place of listen and runs the program on
// them. Of an address without a host, only the port is replaced.
func edge(t testing.TB, name, folder, dir, listen string, replacements []string, prepare func() *exec.Cmd) *Process {
	t.Helper()
	addr := Free(t)
	in := addr
	if strings.HasPrefix(listen, ":") {
		in = addr[strings.LastIndexByte(addr, ':'):]
	}
	place(t, folder, dir, append([]string{listen, in}, replacements...))
	cmd := prepare()
	cmd.Dir = dir
	p := start(t, name, cmd, listens(addr))
	p.Addr = addr
	return p
}
