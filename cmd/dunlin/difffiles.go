package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
)

// entry is a file of one side; its path is empty if there is none.
type entry struct {
	name string // below its folder, with slashes
	path string
	size int64
}

// side is one of the two that are compared: files in order of name.
type side struct {
	label  string
	single bool // a file that was named itself
	files  []entry
}

// findSide finds what an argument names.
func findSide(e *env, what string) (side, error) {
	info, err := os.Stat(what)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return findRelease(e, what)
	case err != nil:
		return side{}, err
	case info.IsDir():
		return findFolder(e, what)
	}
	return side{label: what, single: true, files: []entry{{filepath.Base(what), what, info.Size()}}}, nil
}

// findRelease asks the node, or the home, for the files of a release.
func findRelease(e *env, what string) (side, error) {
	m, version, err := splitModel(what)
	if err != nil {
		return side{}, api.Errorf(api.CodeUsage, "%s is no file or folder here, and not the name of a release such as acme/vad@6.2.0", what)
	}
	var r api.PathResult
	err = e.call("path", api.ModelRequest{Model: m, Version: version}, &r)
	if wire, ok := errors.AsType[*api.Error](err); ok {
		return side{}, api.Errorf(wire.Code, "%s is no file or folder here, and as a release: %s", what, wire.Message)
	}
	if err != nil {
		return side{}, err
	}
	s := side{label: fmt.Sprintf("%s@%s", r.Model, r.Version)}
	for _, f := range r.Files {
		s.files = append(s.files, entry{f.Name, f.Path, int64(f.Size)})
	}
	s.sort()
	return s, nil
}

// findFolder lists the files below a folder. What cannot be published cannot be
// compared: symbolic links and special files.
func findFolder(ctx context.Context, dir string) (side, error) {
	s := side{label: dir}
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return s, err
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return api.Errorf(api.CodeUsage, "%s is a %s: only plain files are compared", path, info.Mode().Type())
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if s.files = append(s.files, entry{filepath.ToSlash(name), path, info.Size()}); len(s.files) > manifest.MaxFiles {
			return api.Errorf(api.CodeUsage, "%s has more than %d files, and so no release is like it", dir, manifest.MaxFiles)
		}
		return nil
	})
	s.sort()
	return s, err
}

func (s *side) sort() {
	slices.SortFunc(s.files, func(a, b entry) int { return strings.Compare(a.name, b.name) })
}

// bytes returns the length of all files.
func (s *side) bytes() (n int64) {
	for _, f := range s.files {
		n += f.size
	}
	return n
}

// pair is a new file and the old one that it is compared with; either may be
// missing.
type pair struct {
	state     string
	old, next entry
}

// pairFiles pairs the files of two sides: by name; what is left by content, which
// makes it renamed; what is then left and alone of its kind on both sides by
// that. Two sides of one file each are a pair whatever their names.
func pairFiles(ctx context.Context, old, next side) ([]pair, error) {
	if len(old.files) == 1 && len(next.files) == 1 {
		p, err := newPair(ctx, old.files[0], next.files[0])
		return []pair{p}, err
	}
	if old.single || next.single {
		return nil, api.Errorf(api.CodeUsage, "%s has %d files and %s has %d: compare a file with a file, or a folder with a folder",
			old.label, len(old.files), next.label, len(next.files))
	}
	left := make(map[string]entry, len(old.files))
	for _, f := range old.files {
		left[f.name] = f
	}
	var pairs []pair
	for _, f := range next.files {
		p := pair{state: fileNew, next: f}
		if was, ok := left[f.name]; ok {
			delete(left, f.name)
			var err error
			if p, err = newPair(ctx, was, f); err != nil {
				return nil, err
			}
		}
		pairs = append(pairs, p)
	}
	if err := pairRenamed(ctx, pairs, old.files, left); err != nil {
		return nil, err
	}
	pairKinds(pairs, left)
	for _, f := range left {
		pairs = append(pairs, pair{state: fileRemoved, old: f})
	}
	slices.SortFunc(pairs, func(a, b pair) int { return strings.Compare(a.name(), b.name()) })
	return pairs, nil
}

// newPair compares two files.
func newPair(ctx context.Context, old, next entry) (pair, error) {
	same, err := sameFiles(ctx, old, next)
	if same {
		return pair{fileSame, old, next}, err
	}
	return pair{fileChanged, old, next}, err
}

func (p *pair) name() string { return cmp.Or(p.next.name, p.old.name) }

// pairRenamed finds the new files that have the bytes of an old one: of one that
// is gone, if there is one, or else of one that still stands.
func pairRenamed(ctx context.Context, pairs []pair, olds []entry, left map[string]entry) error {
	sums := map[string][sha256.Size]byte{}
	sum := func(f entry) ([sha256.Size]byte, error) {
		if s, ok := sums[f.path]; ok {
			return s, nil
		}
		s, err := fileSum(ctx, f)
		sums[f.path] = s
		return s, err
	}
	for i := range pairs {
		p := &pairs[i]
		if p.state != fileNew || p.next.size == 0 {
			continue
		}
		for _, f := range olds {
			_, gone := left[f.name]
			if f.size != p.next.size || p.state == fileRenamed && !gone {
				continue
			}
			a, err := sum(f)
			if err != nil {
				return err
			}
			b, err := sum(p.next)
			if err != nil {
				return err
			}
			if a == b {
				p.state, p.old = fileRenamed, f
				if gone {
					delete(left, f.name)
					break
				}
			}
		}
	}
	return nil
}

func fileSum(ctx context.Context, f entry) (sum [sha256.Size]byte, err error) {
	in, err := openInput(f.path)
	if err != nil {
		return sum, err
	}
	defer func() { err = errors.Join(err, in.f.Close()) }()
	h := sha256.New()
	buf := make([]byte, 256<<10)
	for {
		n, err := in.f.Read(buf)
		h.Write(buf[:n])
		if errors.Is(err, io.EOF) {
			return [sha256.Size]byte(h.Sum(nil)), nil
		}
		if err := errors.Join(err, ctx.Err()); err != nil {
			return sum, err
		}
	}
}

// pairKinds pairs a new file with an old one that is gone where each is the only
// one with its extension: a file whose name tells its version.
func pairKinds(pairs []pair, left map[string]entry) {
	news, olds := map[string][]*pair{}, map[string][]entry{}
	for i := range pairs {
		if p := &pairs[i]; p.state == fileNew {
			kind := filepath.Ext(p.next.name)
			news[kind] = append(news[kind], p)
		}
	}
	for _, f := range left {
		kind := filepath.Ext(f.name)
		olds[kind] = append(olds[kind], f)
	}
	for kind, list := range news {
		if len(list) == 1 && len(olds[kind]) == 1 {
			list[0].state, list[0].old = fileChanged, olds[kind][0]
			delete(left, olds[kind][0].name)
		}
	}
}

// sameFiles says whether two files have the same bytes.
func sameFiles(ctx context.Context, a, b entry) (same bool, err error) {
	if a.size != b.size {
		return false, nil
	}
	in, err := openInputs(a.path, b.path)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	x, y := make([]byte, 256<<10), make([]byte, 256<<10)
	for {
		n, err := io.ReadFull(in[0].f, x)
		m, errB := io.ReadFull(in[1].f, y)
		if !bytes.Equal(x[:n], y[:m]) {
			return false, nil
		}
		if err == nil {
			err = cmp.Or(errB, ctx.Err())
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return true, nil
		case err != nil:
			return false, err
		}
	}
}
