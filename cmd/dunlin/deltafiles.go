package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/term"

	"github.com/dunlin-mesh/dunlin/delta"
	"github.com/dunlin-mesh/dunlin/internal/durable"
	"github.com/dunlin-mesh/dunlin/node/api"
)

// standard is the name for standard input or output.
const standard = "-"

// input is a file that is read and must not change meanwhile.
type input struct {
	path string // as it was given
	f    *os.File
	info fs.FileInfo
}

// openInput opens a file that can be read at any offset.
func openInput(path string) (*input, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, api.Errorf(api.CodeUsage, "%v", err)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case info.IsDir():
		err = api.Errorf(api.CodeUsage, "%s is a folder, and a delta is of one file: see `dunlin diff` for folders", path)
	case !info.Mode().IsRegular() && path != os.DevNull:
		err = api.Errorf(api.CodeUsage, "%s is no file that can be read at any place: copy it to one", path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &input{path, f, info}, nil
}

// version is the input as package delta takes it.
func (in *input) version(m *meter) delta.Version {
	return delta.Version{R: m.reader(in.f), Size: in.info.Size(), Name: filepath.Base(in.path)}
}

// inputs are the files of one command.
type inputs []*input

func openInputs(paths ...string) (in inputs, err error) {
	for _, path := range paths {
		one, err := openInput(path)
		if err != nil {
			return nil, errors.Join(err, in.Close())
		}
		in = append(in, one)
	}
	return in, nil
}

// Close closes the files.
func (in inputs) Close() error {
	var err error
	for _, one := range in {
		err = errors.Join(err, one.f.Close())
	}
	return err
}

// unchanged says whether the files are what they were when they were opened, as
// far as size and time tell.
func (in inputs) unchanged() error {
	for _, one := range in {
		now, err := one.f.Stat()
		if err != nil {
			return err
		}
		if now.Size() != one.info.Size() || !now.ModTime().Equal(one.info.ModTime()) {
			return fmt.Errorf("%s changed while it was read: try again when nobody writes to it", one.path)
		}
	}
	return nil
}

// output is a file that appears whole or not at all, or standard output.
type output struct {
	path string
	perm fs.FileMode
	std  io.Writer // for standard output
}

// newOutput says where what is made of the inputs goes. It may be read by those
// who may read all of them.
func newOutput(e *env, path string, in inputs) (*output, error) {
	if path == standard {
		if f, ok := e.stdout.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			return nil, api.Errorf(api.CodeUsage, "a delta is not for a terminal: name a file, or pipe it to where it goes")
		}
		if e.json {
			return nil, api.Errorf(api.CodeUsage, "--json answers on standard output, where the delta goes: name a file for the delta")
		}
		return &output{path: path, std: e.stdout}, nil
	}
	o := &output{path: path, perm: 0o666}
	for _, one := range in {
		if one.info.Mode().IsRegular() {
			o.perm &= one.info.Mode().Perm() | 0o200
		}
	}
	o.perm |= 0o600
	if real, err := filepath.EvalSymlinks(path); err == nil {
		o.path = real // what a link leads to is replaced, not the link
	}
	there, err := os.Stat(o.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(filepath.Dir(path)); err != nil {
			return nil, api.Errorf(api.CodeUsage, "no folder for %s: %v", path, err)
		}
		return o, nil
	case err != nil:
		return nil, err
	case !there.Mode().IsRegular():
		return nil, api.Errorf(api.CodeUsage, "%s is there and no file: name a file to write", path)
	}
	for _, one := range in {
		if os.SameFile(there, one.info) {
			return nil, api.Errorf(api.CodeUsage, "%s would be overwritten and is needed (%s): name another file to write", path, one.path)
		}
	}
	return o, nil
}

// write has make write all of it.
func (o *output) write(write func(w io.Writer) error) error {
	if o.std != nil {
		return write(o.std)
	}
	return durable.Stream(o.path, o.perm, write)
}

// deltaError gives a failure of package delta, or of a disk, the code that says
// what a caller may do.
func deltaError(err error) error {
	switch {
	case errors.Is(err, delta.ErrAdapter):
		return api.Errorf(api.CodeUsage, "%v: give the safetensors file of the adapter, or leave --lora out", err)
	case errors.Is(err, delta.ErrBasis):
		return api.Errorf(api.CodeUnverified, "%v: give the file that the delta was made from", err)
	case errors.Is(err, delta.ErrResult):
		return api.Errorf(api.CodeUnverified, "%v: the old file is not quite the one that the delta was made from, or the delta is damaged", err)
	case errors.Is(err, delta.ErrDelta):
		return api.Errorf(api.CodeUnverified, "%v: get it again", err)
	case errors.Is(err, delta.ErrVersion):
		return api.Errorf(api.CodeUnverified, "%v", err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return api.Errorf(api.CodeBudget, "%v: make room, or write to another disk ($TMPDIR names a folder for temporary files)", err)
	}
	return err
}

// counted counts the bytes that go through it, one way or the other.
type counted struct {
	r io.Reader
	w io.Writer
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
