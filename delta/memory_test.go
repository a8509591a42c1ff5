//go:build linux

package delta

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/internal/raced"
)

const (
	// mostMemory is what a process may take, whatever the size of the files.
	mostMemory = 128 << 20
	// What a process that codes is to tell the collector, as cmd/dunlin does.
	memoryLimit = 88 << 20
	memoryPGC   = 25
)

// task names what the child process of TestMemory is to do.
const task = "DUNLIN_DELTA_TASK"

// Encoding and decoding take less than 128 MiB, however large the files are.
func TestMemory(t *testing.T) {
	if do := os.Getenv(task); do != "" {
		work(t, do)
		return
	}
	if testing.Short() || raced.Enabled {
		t.Skip("SKIP: files of 260 MB, whose memory the race detector multiplies")
	}
	const matrices = 15 // of 16 MiB
	dir := t.TempDir()
	writeModel(t, filepath.Join(dir, "old.safetensors"), matrices, 0, 0)
	for _, c := range []struct {
		name   string
		effort codec.Effort
		moved  int // matrices, by noise
		turned int // matrices whose rows are in another order
	}{
		{"all moved, planes", codec.Fast, matrices, 0},
		{"head moved, mixing", codec.Strong, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			writeModel(t, filepath.Join(dir, "new.safetensors"), matrices, c.moved, c.turned)
			for _, do := range []string{"encode", "decode"} {
				cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMemory$", "-test.v")
				cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %s", task, do, c.effort, dir))
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("%s: %v\n%s", do, err, out)
				}
				text, err := os.ReadFile(filepath.Join(dir, "peak"))
				if err != nil {
					t.Fatal(err)
				}
				peak, err := strconv.ParseInt(string(text), 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%s: %.1f MiB, %v", do, float64(peak)/(1<<20), cmd.ProcessState.UserTime())
				if peak > mostMemory {
					t.Errorf("%s took %d MiB, at most %d", do, peak>>20, mostMemory>>20)
				}
			}
		})
	}
}

// peak returns the most bytes that were resident in this process. It asks for
// those of its memory since it was started: what the parent learns of a child
// by getrusage includes its own.
func peak(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmHWM:" && f[2] == "kB" {
			n, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatal("the kernel does not tell how much was resident")
	return 0
}

// work does a task in the folder that it names, and writes there what it took.
func work(t *testing.T, do string) {
	debug.SetMemoryLimit(memoryLimit)
	debug.SetGCPercent(memoryPGC)
	f := strings.SplitN(do, " ", 3)
	defer func() {
		if err := os.WriteFile(filepath.Join(f[2], "peak"), strconv.AppendInt(nil, peak(t), 10), 0o600); err != nil {
			t.Error(err)
		}
	}()
	open := func(name string) Version {
		file, err := os.Open(filepath.Join(f[2], name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = file.Close() })
		info, err := file.Stat()
		if err != nil {
			t.Fatal(err)
		}
		return Version{R: file, Size: info.Size(), Name: name}
	}
	create := func(name string) *os.File {
		file, err := os.Create(filepath.Join(f[2], name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = file.Close() })
		return file
	}
	if f[0] == "encode" {
		effort := codec.Fast
		if f[1] == fmt.Sprint(int(codec.Strong)) {
			effort = codec.Strong
		}
		_, err := Encode(t.Context(), open("old.safetensors"), open("new.safetensors"), create("delta"), Options{Effort: effort, Temp: f[2]})
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	delta := open("delta").R.(*os.File)
	if err := Decode(t.Context(), open("old.safetensors"), delta, create("back"), Options{Temp: f[2]}); err != nil {
		t.Fatal(err)
	}
}

// writeModel writes a safetensors file of square f32 matrices, of which the last
// so many moved, and the ones before them have their rows in another order.
func writeModel(t *testing.T, path string, matrices, moved, turned int) {
	t.Helper()
	const side = 2048
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	w := bufio.NewWriterSize(file, 1<<20)
	var names []string
	for i := range matrices {
		names = append(names, fmt.Sprintf(`"m%d":{"dtype":"F32","shape":[%d,%d],"data_offsets":[%d,%d]}`, i, side, side, i*side*side*4, (i+1)*side*side*4))
	}
	header := "{" + strings.Join(names, ",") + "}"
	_, _ = w.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(header))))
	_, _ = w.WriteString(header)
	order := rand.New(rand.NewPCG(9, 9)).Perm(side)
	var row [side * 4]byte
	for i := range matrices {
		for j := range side {
			source := j
			if i >= matrices-moved-turned && i < matrices-moved {
				source = order[j]
			}
			r := rand.New(rand.NewPCG(uint64(i), uint64(source)))
			for k := range side {
				x := r.Uint64()
				v := float32(int32(x)) / (1 << 36) * float32(1+x>>60)
				if i >= matrices-moved {
					v += float32(int32(x>>17)) / (1 << 46)
				}
				binary.LittleEndian.PutUint32(row[4*k:], math.Float32bits(v))
			}
			_, _ = w.Write(row[:])
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
}
