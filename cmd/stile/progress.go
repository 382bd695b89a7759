package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// progress is a bar on a terminal, and lines above it. Elsewhere there are only the lines.
type progress struct {
	w    io.Writer
	bar  bool
	show func() string // what stands in the bar
	size int64         // of what is read; 0 when it is not known
	read atomic.Int64
	mu   sync.Mutex
	stop chan struct{}
	done sync.WaitGroup
}

const (
	barWidth = 30
	barPause = 200 * time.Millisecond
	eraseBar = "\r\x1b[K"
)

func newProgress(w io.Writer, size int64) *progress {
	p := &progress{w: w, size: size}
	return p.start(p.state)
}

// newStatus is a progress whose bar is a text.
func newStatus(w io.Writer, show func() string) *progress {
	p := &progress{w: w}
	return p.start(show)
}

func (p *progress) start(show func() string) *progress {
	p.show, p.bar, p.stop = show, isTerminal(p.w), make(chan struct{})
	if p.bar {
		p.done.Go(p.draw)
	}
	return p
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// countedReader tells the bar how much of the file was read.
type countedReader struct {
	io.Reader
	p *progress
}

func (p *progress) counting(r io.Reader) io.Reader { return countedReader{r, p} }

func (c countedReader) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.p.read.Add(int64(n))
	return n, err
}

func (p *progress) draw() {
	tick := time.NewTicker(barPause)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-tick.C:
			p.mu.Lock()
			_, _ = fmt.Fprint(p.w, eraseBar, p.show())
			p.mu.Unlock()
		}
	}
}

func (p *progress) state() string {
	read := p.read.Load()
	if p.size <= 0 {
		return fmt.Sprintf("%d KiB read", read>>10)
	}
	share := min(float64(read)/float64(p.size), 1)
	full := int(share * barWidth)
	return fmt.Sprintf("[%s%s] %3.0f %%", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), 100*share)
}

// printf writes a line above the bar.
func (p *progress) printf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar {
		_, _ = fmt.Fprint(p.w, eraseBar)
	}
	_, _ = fmt.Fprintf(p.w, format+"\n", args...)
}

// end takes the bar away.
func (p *progress) end() {
	close(p.stop)
	p.done.Wait()
	if p.bar {
		_, _ = fmt.Fprint(p.w, eraseBar)
	}
}
