package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// usage is what a process took.
type usage struct {
	wall time.Duration
	peak int64 // resident bytes at most, 0 where the system does not say
}

// errText bounds how much of a process's complaint is repeated.
const errText = 1 << 10

// process runs a program to its end, at most for the timeout. env is added to
// the program's environment. The error says what the program said.
func process(ctx context.Context, timeout time.Duration, env []string, name string, args ...string) (usage, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.WaitDelay = 10 * time.Second
	var said tail
	cmd.Stdout, cmd.Stderr = io.Discard, &said
	start := time.Now()
	err := cmd.Run()
	u := usage{wall: time.Since(start), peak: peakOf(cmd.ProcessState)}
	switch {
	case err == nil:
		return u, nil
	case ctx.Err() != nil:
		err = fmt.Errorf("stopped after %s: %w", u.wall.Round(time.Second), ctx.Err())
	}
	return u, fmt.Errorf("%s: %w: %s", filepath.Base(name), err, said.line())
}

// tail is a writer that keeps the end of what is written.
type tail struct{ data []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.data = append(t.data, p...)
	if over := len(t.data) - errText; over > 0 {
		t.data = append(t.data[:0], t.data[over:]...)
	}
	return len(p), nil
}

// line returns it on one line.
func (t *tail) line() string { return strings.Join(strings.Fields(string(t.data)), " ") }

// compare says where two files differ first, or nil.
func compare(want, got string) error {
	a, err := os.Open(want)
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := os.Open(got)
	if err != nil {
		return err
	}
	defer b.Close()
	x, y := make([]byte, 256<<10), make([]byte, 256<<10)
	for at := int64(0); ; {
		n, errA := io.ReadFull(a, x)
		m, errB := io.ReadFull(b, y)
		if !bytes.Equal(x[:n], y[:m]) {
			k := 0
			for k < min(n, m) && x[k] == y[k] {
				k++
			}
			return fmt.Errorf("decoded file differs from byte %d on", at+int64(k))
		}
		for _, err := range []error{errA, errB} {
			if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				return err
			}
		}
		if errA != nil {
			return nil
		}
		at += int64(n)
	}
}
