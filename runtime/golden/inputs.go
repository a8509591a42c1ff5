package golden

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// maxRandomBytes bounds the random inputs of one case.
const maxRandomBytes = 64 << 20

// Random returns n cases of inputs made from seed, the same on every machine:
// floats from the standard normal distribution, integers 0 or 1, bools.
// Dimensions that are only known when running are 1. Errors wrap
// modelrt.ErrTensor.
func Random(sig modelrt.Signature, seed uint64, n int) ([]map[string]modelrt.Tensor, error) {
	random := rand.New(rand.NewPCG(seed, 0))
	cases := make([]map[string]modelrt.Tensor, n)
	for i := range cases {
		cases[i] = make(map[string]modelrt.Tensor, len(sig.Inputs))
		left := int64(maxRandomBytes)
		for _, p := range sig.Inputs {
			shape := slices.Clone(p.Shape)
			for k, dim := range shape {
				shape[k] = max(dim, 1)
			}
			t, err := modelrt.NewTensor(p.DType, shape, left)
			if err != nil {
				return nil, fmt.Errorf("random input %s: %w", p.Name, err)
			}
			left -= int64(len(t.Data))
			fill(t, random)
			cases[i][p.Name] = t
		}
	}
	return cases, nil
}

func fill(t modelrt.Tensor, random *rand.Rand) {
	size := t.DType.Size()
	for i := range t.Len() {
		var bits uint64
		switch v := random.NormFloat64(); t.DType {
		case modelrt.F64:
			bits = math.Float64bits(v)
		case modelrt.F32:
			bits = uint64(math.Float32bits(float32(v)))
		case modelrt.BF16: // cut off, not rounded: any value will do
			bits = uint64(math.Float32bits(float32(v)) >> 16)
		case modelrt.F16: // 1 to 2, or -1 to -2
			bits = 0x3c00 | random.Uint64N(1<<10) | random.Uint64N(2)<<15
		default:
			bits = random.Uint64N(2)
		}
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], bits)
		copy(t.Data[i*size:], b[:size])
	}
}

// ReadInputs reads cases of inputs from the folder dir: a golden set, whose
// outputs are not looked at and need not be there, or files INPUT.npy of one
// case, or folders of such files, one a case, in the order of their names.
// Errors wrap ErrSet.
func ReadInputs(dir string, sig modelrt.Signature) (_ []map[string]modelrt.Tensor, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSet, err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	entries, err := list(root, ".")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSet, err)
	}
	var folders []string
	for _, e := range entries {
		if e.IsDir() {
			folders = append(folders, e.Name())
		}
	}
	if len(folders) == 0 {
		folders = []string{"."}
	}
	if names, err := findCases(root); err == nil {
		folders = names
	}
	if len(folders) > MaxCases {
		return nil, fmt.Errorf("%w: %d cases, at most %d", ErrSet, len(folders), MaxCases)
	}
	var cases []map[string]modelrt.Tensor
	for _, folder := range folders {
		inputs, err := readCase(root, folder, sig)
		if err != nil {
			return nil, err
		}
		cases = append(cases, inputs)
	}
	return cases, nil
}

// readCase reads the inputs in one folder, .npy or .pb.
func readCase(root *os.Root, folder string, sig modelrt.Signature) (map[string]modelrt.Tensor, error) {
	budget := int64(MaxTensorFileBytes)
	s := &Set{root: root}
	var tensors []Named
	for i := range MaxPorts {
		n, err := s.read(path.Join(folder, fmt.Sprintf("input_%d.pb", i)), &budget)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return nil, err
		}
		tensors = append(tensors, n)
	}
	if len(tensors) > 0 {
		return match(folder, "input", tensors, sig.Inputs)
	}
	entries, err := list(root, folder)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSet, err)
	}
	inputs := make(map[string]modelrt.Tensor)
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".npy")
		if !ok {
			continue
		}
		f, err := root.Open(filepath.Join(folder, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrSet, err)
		}
		t, err := modelrt.ReadNPY(f, budget)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrSet, e.Name(), err)
		}
		budget -= int64(len(t.Data))
		inputs[name] = t
	}
	if len(inputs) == 0 {
		return nil, fmt.Errorf("%w: no input_0.pb and no INPUT.npy in %s", ErrSet, folder)
	}
	return inputs, nil
}
