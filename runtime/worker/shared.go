//go:build unix

package worker

import (
	"errors"
	"os"
	"sync"
)

// shared is the memory that this process shares with one worker; without
// arenas it holds nothing. Safe for concurrent use.
type shared struct {
	size   int64  // of each arena
	inputs *arena // where this process writes

	mu      sync.RWMutex // held for reading while outputs are read
	mem     []byte       // of both arenas; nil once closed
	outputs []byte
}

// errGone says that shared memory was given back already.
var errGone = errors.New("shared memory is gone")

// openShared makes memory with arenas of size bytes, and the file to hand to the
// worker, nil where there are none.
func openShared(size int64) (*shared, *os.File, error) {
	if !hasArenas {
		return &shared{inputs: newArena(nil)}, nil, nil
	}
	f, err := newShared(size)
	if err != nil {
		return nil, nil, err
	}
	mem, err := mapShared(f, size)
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return &shared{size: size, inputs: newArena(mem[:size]), mem: mem, outputs: mem[size:]}, f, nil
}

// read copies a tensor out of the outputs; p was checked by decodePlaces.
func (s *shared) read(p place) ([]byte, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.outputs == nil {
		return nil, errGone
	}
	data := make([]byte, p.size)
	copy(data, s.outputs[p.offset:])
	return data, nil
}

// close gives the memory back once nobody reads or writes there.
func (s *shared) close() error {
	s.inputs.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	mem := s.mem
	s.mem, s.outputs = nil, nil
	if mem == nil {
		return nil
	}
	return unmapShared(mem)
}
