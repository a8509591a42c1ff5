package delta

import (
	"hash"
	"io"
)

// tee writes to w and to a hash at the same time: either takes as long as the
// other where files are copied. It is to be closed.
type tee struct {
	w    io.Writer
	todo chan []byte
	done chan struct{}
}

func newTee(w io.Writer, h hash.Hash) *tee {
	t := &tee{w: w, todo: make(chan []byte), done: make(chan struct{})}
	go func() { // joined by Close
		defer close(t.done)
		for p := range t.todo {
			h.Write(p)
			t.done <- struct{}{}
		}
	}()
	return t
}

// Write returns when both have p.
func (t *tee) Write(p []byte) (int, error) {
	t.todo <- p
	n, err := t.w.Write(p)
	<-t.done
	return n, err
}

// Close waits for the hash; its sum may be taken then.
func (t *tee) Close() error {
	close(t.todo)
	<-t.done
	return nil
}
