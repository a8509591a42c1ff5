package delta

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/codec/container"
	"github.com/dunlin-mesh/dunlin/manifest"
)

const (
	// maxPacks bounds the packed runs of a file.
	maxPacks = 1 << 16
	// maxParams bounds what a packed run needs beside its bytes.
	maxParams = 64
)

// appendPacks appends the packed runs of the old and the new file.
func appendPacks(to []byte, old, next []container.Pack, coder *codec.Coder) ([]byte, error) {
	var raw []byte
	for _, packs := range [][]container.Pack{old, next} {
		raw = binary.AppendUvarint(raw, uint64(len(packs)))
		at := int64(0)
		for _, p := range packs {
			raw = binary.AppendUvarint(raw, uint64(p.Offset-at))
			raw = binary.AppendUvarint(raw, uint64(p.Length))
			raw = binary.AppendUvarint(raw, uint64(p.Unpacked))
			raw = append(raw, byte(p.Kind), byte(len(p.Params)))
			raw = append(raw, p.Params...)
			at = p.Offset + p.Length
		}
	}
	return appendPacked(to, raw, coder)
}

// parsePacks reads what appendPacks wrote, for files of the sizes given.
func parsePacks(in []byte, oldSize, newSize int64, coder *codec.Coder) (old, next []container.Pack, err error) {
	raw, err := unpack(in, coder)
	if err != nil {
		return nil, nil, err
	}
	if old, raw, err = parsePackList(raw, oldSize); err == nil {
		next, raw, err = parsePackList(raw, newSize)
	}
	if err == nil {
		err = rest(raw)
	}
	return old, next, err
}

func parsePackList(in []byte, size int64) ([]container.Pack, []byte, error) {
	n, in, err := number(in, maxPacks)
	if err != nil {
		return nil, nil, err
	}
	var packs []container.Pack
	at, total := int64(0), int64(0)
	for range n {
		var v [3]int
		for i := range v {
			if v[i], in, err = number(in, manifest.MaxFileBytes); err != nil {
				return nil, nil, err
			}
		}
		if len(in) < 2 || in[1] > maxParams || len(in) < 2+int(in[1]) {
			return nil, nil, fmt.Errorf("%w: it ends within a packed run", ErrDelta)
		}
		p := container.Pack{
			Offset: at + int64(v[0]), Length: int64(v[1]), Unpacked: int64(v[2]),
			Kind: container.Kind(in[0]), Params: in[2 : 2+in[1]],
		}
		in = in[2+in[1]:]
		at = p.Offset + p.Length
		if total += p.Unpacked; at > size || total > manifest.MaxFileBytes {
			return nil, nil, fmt.Errorf("%w: packed run %d+%d of a file of %d bytes", ErrDelta, p.Offset, p.Length, size)
		}
		if s, ok := stripOf(&p); ok {
			if err := s.check(0, size); err != nil {
				return nil, nil, err
			}
			if p.Unpacked != s.opened() || len(p.Params) > 0 {
				return nil, nil, fmt.Errorf("%w: blocks of %d bytes open to %d", ErrDelta, p.Length, p.Unpacked)
			}
		}
		packs = append(packs, p)
	}
	return packs, in, nil
}

// viewSize returns the length of the view of a file with these packed runs.
func viewSize(size int64, packs []container.Pack) int64 {
	for _, p := range packs {
		size += p.Unpacked - p.Length
	}
	return size
}

// repacker turns the bytes of a view back into those of the file: what belongs
// to a packed run is packed again. It is to be closed.
type repacker struct {
	w     io.Writer
	packs []container.Pack // to come
	at    int64            // in the file, of the next byte that is not packed
	left  int64            // of the run at work
	pipe  *io.PipeWriter
	done  chan error
	out   faults // w, for the run at work
}

// faults remembers the error of a writer, to tell it from those of a delta.
type faults struct {
	w   io.Writer
	err error
}

func (f *faults) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err != nil {
		f.err = err
	}
	return n, err
}

func (r *repacker) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		if r.pipe == nil && len(r.packs) > 0 && r.packs[0].Offset == r.at {
			if err := r.begin(); err != nil {
				return n, err
			}
			continue
		}
		part := p
		w := r.w
		switch {
		case r.pipe != nil:
			part, w = p[:min(int64(len(p)), r.left)], r.pipe
		case len(r.packs) > 0:
			part = p[:min(int64(len(p)), r.packs[0].Offset-r.at)]
		}
		if _, err := w.Write(part); err != nil {
			if r.pipe == nil {
				return n, err
			}
			if err = r.end(); err == nil { // or it tells why nobody reads any more
				err = fmt.Errorf("%w: a packed run takes fewer bytes", ErrDelta)
			}
			return n, err
		}
		n, p = n+len(part), p[len(part):]
		if r.pipe == nil {
			r.at += int64(len(part))
		} else if r.left -= int64(len(part)); r.left == 0 {
			if err := r.end(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// begin starts to pack the next run.
func (r *repacker) begin() error {
	pack := r.packs[0]
	r.packs, r.at, r.left = r.packs[1:], pack.Offset+pack.Length, pack.Unpacked
	reader, writer := io.Pipe()
	r.pipe, r.done, r.out = writer, make(chan error, 1), faults{w: r.w}
	go func() { // joined by end
		repack := pack.Repack
		if s, ok := stripOf(&pack); ok {
			repack = s.repack
		}
		err := repack(reader, &r.out)
		reader.CloseWithError(err)
		r.done <- err
	}()
	if r.left == 0 {
		return r.end()
	}
	return nil
}

// end waits for the run at work. What cannot be packed is the delta's fault.
func (r *repacker) end() error {
	err := r.pipe.Close()
	if failed := <-r.done; failed != nil && r.out.err == nil {
		err = fmt.Errorf("%w: %w", ErrDelta, failed)
	} else if failed != nil {
		err = failed
	}
	r.pipe, r.done = nil, nil
	return err
}

// Close joins what is at work and packs runs without bytes at the end.
func (r *repacker) Close() error {
	if r.pipe != nil {
		r.pipe.CloseWithError(io.ErrUnexpectedEOF)
		<-r.done
		r.pipe = nil
		return nil
	}
	for len(r.packs) > 0 && r.packs[0].Offset == r.at && r.packs[0].Unpacked == 0 {
		if err := r.begin(); err != nil {
			return err
		}
	}
	return nil
}
