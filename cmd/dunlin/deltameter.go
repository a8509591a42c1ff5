package main

import (
	"io"
	"runtime/debug"
	"sync"
	"time"

	"github.com/dunlin-mesh/dunlin/node/api"
)

// barAfter is how long work goes on before a bar shows how far it is.
const barAfter = time.Second

// meter shows how far a delta is, once that takes long. Its methods may be
// called from several goroutines.
type meter struct {
	mu    sync.Mutex
	bar   *bar
	what  string
	start time.Time
	read  int64 // before the first step was done
	done  bool  // it was
}

// newMeter begins to measure work, which what names.
func newMeter(stderr io.Writer, what string) *meter {
	return &meter{bar: newBar(stderr), what: what, start: time.Now()}
}

// show draws that done bytes of total are made.
func (m *meter) show(done, total int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done = true
	m.draw(api.Progress{What: m.what, Done: done, Total: total})
}

func (m *meter) draw(p api.Progress) {
	if time.Since(m.start) >= barAfter {
		m.bar.show(p)
	}
}

// finish takes the bar away; it may be called again.
func (m *meter) finish() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bar.finish()
}

// reader returns r, or where a bar is drawn a reader that moves it while the
// files are looked at and nothing is made yet.
func (m *meter) reader(r io.ReaderAt) io.ReaderAt {
	if m.bar.out == nil {
		return r
	}
	return &metered{r, m}
}

type metered struct {
	io.ReaderAt
	m *meter
}

// ReadAt implements io.ReaderAt.
func (r *metered) ReadAt(p []byte, at int64) (int, error) {
	n, err := r.ReaderAt.ReadAt(p, at)
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	if r.m.read += int64(n); !r.m.done {
		r.m.draw(api.Progress{What: "reading", Done: r.m.read})
	}
	return n, err
}

// What the garbage collector is told while deltas are made, so that a process
// stays under 128 MiB: to begin early, and to work hard before the heap and all
// around it exceed the limit.
const (
	frugalPercent = 25
	frugalBytes   = 88 << 20
)

// frugal makes the process careful with memory until the function that it
// returns is called.
func frugal() (restore func()) {
	percent := debug.SetGCPercent(frugalPercent)
	limit := debug.SetMemoryLimit(-1)
	debug.SetMemoryLimit(min(limit, frugalBytes))
	return func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	}
}
