//go:build unix

package worker

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// Main is the whole program of a worker: it loads the one model that it is told
// to with engine, and runs it until the connection ends. It must only be called
// in a process that was started with [Argument], early, and ctx should not end
// by an interrupt from the terminal, which is for the process above. The result
// is the exit code: 0 told to go, 1 the connection broke the protocol.
func Main(ctx context.Context, engine modelrt.Engine, stderr io.Writer) int {
	conn, err := fileConn(connFD)
	if err != nil {
		fmt.Fprintln(stderr, "a worker is started by the node, not by hand:", err)
		return 1
	}
	s := &server{
		conn: conn, reader: bufio.NewReaderSize(conn, 64<<10),
		cancels: make(map[uint64]context.CancelFunc), lent: make(map[uint64][]block),
	}
	err = s.serve(ctx, engine)
	if err == nil || errors.Is(err, io.EOF) {
		return 0
	}
	fmt.Fprintln(stderr, err)
	return 1
}

// serve loads the model and answers until the connection ends.
func (s *server) serve(ctx context.Context, engine modelrt.Engine) error {
	order, err := s.ordered()
	if err != nil {
		return err
	}
	session, err := engine.Load(ctx, order.Path)
	if err != nil {
		return errors.Join(s.fail(0, err), s.drop())
	}
	s.session, s.sig = session, session.Signature()
	body, err := json.Marshal(loadedBody{EngineVersion: engine.Info().Version, Signature: s.sig})
	if err == nil && len(body) > maxBodyBytes {
		err = fmt.Errorf("%w: its signature takes %d bytes, at most %d", modelrt.ErrLoad, len(body), maxBodyBytes)
	}
	if err != nil {
		return errors.Join(s.fail(0, err), session.Close(), s.drop())
	}
	if err := s.write(append(header{kind: kindLoaded, body: len(body)}.append(nil), body...)); err != nil {
		return errors.Join(err, session.Close())
	}
	err = s.listen(ctx)
	if !s.stopAll() {
		return err // a run hangs; the process ends with it
	}
	return errors.Join(err, session.Close())
}

// ordered reads the first frame and maps the memory that it tells of.
func (s *server) ordered() (loadBody, error) {
	var order loadBody
	h, body, err := readFrame(s.reader)
	if err != nil {
		return order, err
	}
	if h.kind != kindLoad {
		return order, fmt.Errorf("%w: kind %d instead of what to load", errFrame, h.kind)
	}
	if err := decodeJSON(body, &order); err != nil {
		return order, err
	}
	if order.Protocol != protocol {
		return order, errors.Join(s.fail(0, fmt.Errorf("%w: this program was replaced while the node ran (worker protocol %d, want %d): restart the node",
			modelrt.ErrNoRuntime, protocol, order.Protocol)), s.drop())
	}
	s.outputs = newArena(nil)
	if order.Arena == 0 {
		return order, nil
	}
	if order.Arena < minArenaBytes || order.Arena > maxArenaBytes {
		return order, fmt.Errorf("%w: arenas of %d bytes", errFrame, order.Arena)
	}
	f := os.NewFile(sharedFD, "shared")
	mem, err := mapShared(f, order.Arena)
	if err = errors.Join(err, f.Close()); err != nil {
		return order, errors.Join(s.fail(0, fmt.Errorf("%w: %w", modelrt.ErrNoRuntime, err)), s.drop())
	}
	s.inputs, s.outputs = mem[:order.Arena], newArena(mem[order.Arena:])
	return order, nil
}

// drop waits until the other end, which was told a failure, ends the
// connection.
func (s *server) drop() error {
	_, err := io.Copy(io.Discard, s.reader)
	return errors.Join(err, io.EOF)
}
