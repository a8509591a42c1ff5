package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// Event is one line of an answer: exactly one field is set.
type Event struct {
	Progress *Progress       `json:"progress,omitempty"`
	Result   json.RawMessage `json:"result,omitempty"`
	Error    *Error          `json:"error,omitempty"`
}

// Writer writes the lines of one answer. Safe for concurrent use.
type Writer struct {
	mu  sync.Mutex // owns out
	out http.ResponseWriter
}

// NewWriter begins an answer on out.
func NewWriter(out http.ResponseWriter) *Writer {
	out.Header().Set("Content-Type", "application/x-ndjson")
	return &Writer{out: out}
}

// Progress writes how far the call is. A caller that has gone away is noticed
// through the request's context, so errors are not reported here.
func (w *Writer) Progress(p Progress) { _ = w.write(Event{Progress: &p}) }

// Finish writes the last line: result, or err as an [Error] (any other error
// becomes one of [CodeFailed]).
func (w *Writer) Finish(result any, err error) error {
	if err != nil {
		wire, ok := errors.AsType[*Error](err)
		if !ok {
			wire = &Error{Code: CodeFailed, Message: err.Error()}
		}
		return w.write(Event{Error: wire})
	}
	data, err := json.Marshal(result)
	if err != nil {
		return w.write(Event{Error: Errorf(CodeFailed, "answer: %v", err)})
	}
	return w.write(Event{Result: data})
}

func (w *Writer) write(e Event) error {
	data, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, err := w.out.Write(append(data, '\n')); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	if f, ok := w.out.(http.Flusher); ok {
		f.Flush()
	}
	return nil
}

// read reads an answer: progress goes to onProgress (may be nil), the result
// into result (may be nil).
func read(in io.Reader, onProgress func(Progress), result any) error {
	lines := json.NewDecoder(in)
	for {
		var e Event
		if err := lines.Decode(&e); err != nil {
			return Errorf(CodeUnreachable, "the node went away in the middle of an answer: %v", err)
		}
		switch {
		case e.Error != nil:
			return e.Error
		case e.Progress != nil:
			if onProgress != nil {
				onProgress(*e.Progress)
			}
		default:
			if result == nil {
				return nil
			}
			if err := json.Unmarshal(e.Result, result); err != nil {
				return fmt.Errorf("answer of the node: %w", err)
			}
			return nil
		}
	}
}
