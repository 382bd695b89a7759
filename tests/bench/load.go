package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// load sends prepared requests over keep-alive connections and reads just enough of each
// answer to know that it was 200 with an empty body: the client must cost less than the
// server, or it is the client that is measured.
type load struct {
	connections int
	request     func(i int) []byte // the i-th request; called by many goroutines
}

// result is one round.
type result struct {
	count     int
	perSecond float64
	p50, p99  time.Duration
}

func (l load) run(ctx context.Context, address string, took time.Duration) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, took)
	defer cancel()
	samples := make([][]time.Duration, l.connections)
	faults := make([]error, l.connections)
	var wg sync.WaitGroup
	start := time.Now()
	for c := range l.connections {
		wg.Go(func() { samples[c], faults[c] = l.connection(ctx, address, c) })
	}
	wg.Wait()
	elapsed := time.Since(start)
	all := slices.Concat(samples...)
	if err := errors.Join(faults...); err != nil {
		return result{}, err
	}
	if len(all) == 0 {
		return result{}, errors.New("no request was answered")
	}
	slices.Sort(all)
	return result{
		count:     len(all),
		perSecond: float64(len(all)) / elapsed.Seconds(),
		p50:       all[len(all)/2],
		p99:       all[len(all)*99/100],
	}, nil
}

// connection sends one request after the other until ctx ends.
func (l load) connection(ctx context.Context, address string, first int) ([]time.Duration, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	buf := make([]byte, 4096)
	took := make([]time.Duration, 0, 1<<16)
	for i := first; ctx.Err() == nil; i += l.connections {
		start := time.Now()
		if _, err := conn.Write(l.request(i)); err != nil {
			return nil, err
		}
		if err := readAllowed(conn, buf); err != nil {
			return nil, err
		}
		took = append(took, time.Since(start))
	}
	return took, nil
}

// readAllowed reads one answer, which must be 200 without a body.
func readAllowed(conn net.Conn, buf []byte) error {
	n := 0
	for {
		k, err := conn.Read(buf[n:])
		if err != nil {
			return err
		}
		n += k
		if bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
			break
		}
		if n == len(buf) {
			return errors.New("answer is too long")
		}
	}
	if !bytes.HasPrefix(buf[:n], []byte("HTTP/1.1 200 OK\r\n")) {
		return fmt.Errorf("not allowed: %s", buf[:n])
	}
	return nil
}
