package golden

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// Bounds of a set.
const (
	// MaxCases is how many cases a set may have.
	MaxCases = 1000
	// MaxPorts is how many inputs, and how many outputs, a case may have.
	MaxPorts = 256
	// maxEntries bounds what is listed of a folder.
	maxEntries = 4096
)

// Set is an open golden set; Close it. Tensors are read case by case, so that a
// set takes no more memory than its largest case. For one goroutine.
type Set struct {
	root  *os.Root
	cases []string // folders, slash-separated, in order; "." for the set's own
	rules rules
}

// Case is one case of a set. Tensors are in the order of their files.
type Case struct {
	// Name is the folder's, "." for that of the set.
	Name            string
	Inputs, Outputs []Named
}

// Named is a tensor and the name in its file, which may be empty.
type Named struct {
	Name   string
	Tensor modelrt.Tensor
}

// Open opens the golden set in the folder dir. Errors wrap ErrSet.
func Open(dir string) (_ *Set, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSet, err)
	}
	s := &Set{root: root}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("%w: %s: %w", ErrSet, dir, err), root.Close())
		}
	}()
	if s.cases, err = findCases(root); err != nil {
		return nil, err
	}
	if s.rules, err = readRules(root); err != nil {
		return nil, err
	}
	return s, nil
}

// Close gives the folder back.
func (s *Set) Close() error { return s.root.Close() }

// Len returns the number of cases, at least one.
func (s *Set) Len() int { return len(s.cases) }

// findCases lists the folders test_data_set_K in the order of K, or else the
// folder itself.
func findCases(root *os.Root) ([]string, error) {
	entries, err := list(root, ".")
	if err != nil {
		return nil, err
	}
	var numbers []int
	plain := false
	for _, e := range entries {
		if k, ok := numbered(e.Name(), "test_data_set_", ""); ok && e.IsDir() {
			numbers = append(numbers, k)
		}
		plain = plain || e.Name() == "input_0.pb"
	}
	switch {
	case len(numbers) > MaxCases:
		return nil, fmt.Errorf("%d cases, at most %d", len(numbers), MaxCases)
	case len(numbers) > 0 && plain:
		return nil, errors.New("input_0.pb beside folders test_data_set_K: move it into one")
	case plain:
		return []string{"."}, nil
	case len(numbers) == 0:
		return nil, errors.New("no test_data_set_0/input_0.pb and no input_0.pb in it")
	}
	slices.Sort(numbers)
	names := make([]string, len(numbers))
	for i, k := range numbers {
		names[i] = "test_data_set_" + strconv.Itoa(k)
	}
	return names, nil
}

// numbered returns K of prefix + K + suffix, where K is written without signs
// and leading zeros.
func numbered(name, prefix, suffix string) (int, bool) {
	text, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return 0, false
	}
	if text, ok = strings.CutSuffix(text, suffix); !ok {
		return 0, false
	}
	k, err := strconv.Atoi(text)
	return k, err == nil && k >= 0 && strconv.Itoa(k) == text
}

func list(root *os.Root, dir string) ([]fs.DirEntry, error) {
	f, err := root.Open(dir)
	if err != nil {
		return nil, err
	}
	entries, err := f.ReadDir(maxEntries + 1)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if len(entries) > maxEntries {
		return nil, fmt.Errorf("more than %d files in %s", maxEntries, dir)
	}
	return entries, nil
}

// Read reads case i, 0 <= i < Len. Errors wrap ErrSet.
func (s *Set) Read(i int) (Case, error) {
	c := Case{Name: s.cases[i]}
	entries, err := list(s.root, c.Name)
	if err != nil {
		return Case{}, fmt.Errorf("%w: %w", ErrSet, err)
	}
	budget := int64(MaxTensorFileBytes) // of the whole case
	for _, group := range []struct {
		prefix string
		into   *[]Named
	}{{"input_", &c.Inputs}, {"output_", &c.Outputs}} {
		n := 0
		for _, e := range entries {
			if _, ok := numbered(e.Name(), group.prefix, ".pb"); ok {
				n++
			}
		}
		if n > MaxPorts {
			return Case{}, fmt.Errorf("%w: %s: %d files %sN.pb, at most %d", ErrSet, c.Name, n, group.prefix, MaxPorts)
		}
		for k := range n { // a gap is a missing file
			named, err := s.read(path.Join(c.Name, group.prefix+strconv.Itoa(k)+".pb"), &budget)
			if err != nil {
				return Case{}, err
			}
			*group.into = append(*group.into, named)
		}
	}
	if len(c.Outputs) == 0 {
		return Case{}, fmt.Errorf("%w: %s has no output_0.pb", ErrSet, c.Name)
	}
	return c, nil
}

func (s *Set) read(name string, budget *int64) (Named, error) {
	data, err := readBounded(s.root, name, *budget)
	if err != nil {
		return Named{}, fmt.Errorf("%w: %w", ErrSet, err)
	}
	*budget -= int64(len(data))
	label, t, err := DecodeTensor(data)
	if err != nil {
		return Named{}, fmt.Errorf("%s: %w", name, err)
	}
	return Named{Name: label, Tensor: t}, nil
}

// readBounded reads a regular file of at most limit bytes.
func readBounded(root *os.Root, name string, limit int64) ([]byte, error) {
	info, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s is larger than what is left of the %d bytes of a case", name, MaxTensorFileBytes)
	}
	return data, nil
}
