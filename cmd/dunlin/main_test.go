package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dunlin-mesh/dunlin/node/api"
	"github.com/dunlin-mesh/dunlin/runtime/onnx/onnxtest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"dunlin": main})
}

// TestStories runs the scripts in testdata: each is a story that a user could
// type. Besides testscript's own commands there are
//
//	up DIR          start `dunlin --dir DIR up` and wait until it answers
//	down DIR        stop it as an operator would, or with -kill as a crash would
//	worker DIR VAR  put the process ID of the node's only worker into the variable VAR
//	kill9 PID       kill a process, and wait until it is gone
//	gone PID        wait until a process is gone
//	address DIR VAR put the node's first address into the variable VAR
//	flip FILE N     flip one bit of byte N of a file
//	truncate FILE N cut a file down to N bytes
//	model FILE BODY HEAD  write a small model; numbers tell its weights
//	weights FILE SEED STEPS  write weights that were trained so many steps more
//	known DIR SITE:STATE  wait until the node knows of a node at the site with a model in the state
//	exits CODE COMMAND...  run a command that must end with this exit code
func TestStories(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			dir, err := os.MkdirTemp("", "d") //nolint:usetesting // Unix sockets want short paths
			if err != nil {
				return err
			}
			e.Defer(func() { _ = os.RemoveAll(dir) })
			e.Setenv("W", dir)
			e.Values[runningKey{}] = make(running)
			if corpus := corpusDir(); corpus != "" {
				e.Setenv("CORPUS", corpus)
			}
			e.Setenv("DUNLIN_ONNXRUNTIME", onnxtest.Find())
			e.Setenv("OPENVINO", onnxtest.FindOpenVINO())
			e.Setenv("zeros512", zeros(1, 512))
			e.Setenv("zeros256", zeros(2, 1, 128))
			return errors.Join(
				os.WriteFile(filepath.Join(e.WorkDir, "broken.onnx"), []byte(unknownOperator), 0o600),
				os.WriteFile(filepath.Join(e.WorkDir, "lies.gguf"), []byte("GGUF\x03\x00\x00\x00"+strings.Repeat("\xff", 16)), 0o600))
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "corpus":
				return corpusDir() != "", nil
			case "openvino":
				return onnxtest.FindOpenVINO() != "", nil
			case "ort":
				return onnxtest.Find() != "", nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"up": up, "down": down, "address": address, "flip": flip, "truncate": truncate,
			"worker": workerPID, "kill9": kill9, "gone": gone,
			"model": model, "weights": weights, "exits": exits, "known": known,
		},
	})
}

// unknownOperator is a well-formed ONNX model of one node that no runtime knows.
const unknownOperator = "\b\b:=\n\x16\n\x01x\x12\x01y\"\x0eNoSuchOperator\x12\x01gZ\x0f\n\x01x\x12\n\n\b\b\x01\x12\x04\n\x02\b\x01" +
	"b\x0f\n\x01y\x12\n\n\b\b\x01\x12\x04\n\x02\b\x01B\x02\x10\x11"

// zeros is a tensor of f32 zeros as the command line takes it.
func zeros(shape ...int) string {
	n, dims := 1, make([]string, len(shape))
	for i, dim := range shape {
		n *= dim
		dims[i] = fmt.Sprint(dim)
	}
	return `{"dtype":"f32","shape":[` + strings.Join(dims, ",") + `],"data":[` + strings.TrimSuffix(strings.Repeat("0,", n), ",") + `]}`
}

// running are the nodes of one script, by home.
type running map[string]*exec.Cmd

// runningKey is where a script's environment keeps them.
type runningKey struct{}

func homes(ts *testscript.TestScript) running { return ts.Value(runningKey{}).(running) }

func corpusDir() string {
	if dir := os.Getenv("DUNLIN_CORPUS"); dir != "" {
		return dir
	}
	wd, err := os.Getwd()
	if err != nil {
		return ""
	}
	for at := wd; at != filepath.Dir(at); at = filepath.Dir(at) {
		if dir := filepath.Join(at, "shared", "corpus"); exists(dir) {
			return dir
		}
	}
	return ""
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

func up(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: up DIR [FLAG...]")
	}
	dir := ts.MkAbs(args[0])
	log, err := os.OpenFile(filepath.Join(dir, "up.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	ts.Check(err)
	cmd := exec.Command("dunlin", append([]string{"--dir", dir, "-v", "up"}, args[1:]...)...)
	path, err := exec.LookPath(filepath.Join(firstPath(ts.Getenv("PATH")), "dunlin"))
	ts.Check(err)
	cmd.Path, cmd.Err = path, nil
	cmd.Env = []string{"PATH=" + ts.Getenv("PATH"), "HOME=" + ts.Getenv("W"), "DUNLIN_ONNXRUNTIME=" + ts.Getenv("DUNLIN_ONNXRUNTIME")}
	cmd.Stderr = log
	ts.Check(cmd.Start())
	ts.Check(log.Close())
	ts.Defer(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	homes(ts)[dir] = cmd
	deadline := time.Now().Add(time.Minute)
	for time.Now().Before(deadline) {
		if c, ok := api.Dial(context.Background(), dir); ok {
			var s api.Status
			if c.Call(context.Background(), "status", nil, &s, nil) == nil && s.Running {
				return
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	text, _ := os.ReadFile(filepath.Join(dir, "up.log"))
	ts.Fatalf("%s does not come up; its log:\n%s", dir, text)
}

func firstPath(path string) string {
	first, _, _ := strings.Cut(path, string(os.PathListSeparator))
	return first
}

func down(ts *testscript.TestScript, neg bool, args []string) {
	signal := syscall.SIGTERM
	if len(args) == 2 && args[0] == "-kill" {
		signal, args = syscall.SIGKILL, args[1:]
	}
	if neg || len(args) != 1 {
		ts.Fatalf("usage: down [-kill] DIR")
	}
	dir := ts.MkAbs(args[0])
	cmd := homes(ts)[dir]
	if cmd == nil {
		ts.Fatalf("no node runs in %s", dir)
	}
	delete(homes(ts), dir)
	ts.Check(cmd.Process.Signal(signal))
	if err := cmd.Wait(); err != nil && signal == syscall.SIGTERM {
		text, _ := os.ReadFile(filepath.Join(dir, "up.log"))
		ts.Fatalf("node stopped badly: %v; its log:\n%s", err, text)
	}
}

func address(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: address DIR VAR")
	}
	c, ok := api.Dial(context.Background(), ts.MkAbs(args[0]))
	if !ok {
		ts.Fatalf("no node runs in %s", args[0])
	}
	var s api.Status
	ts.Check(c.Call(context.Background(), "status", nil, &s, nil))
	ts.Setenv(args[1], s.Addresses[0])
}

func flip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: flip FILE N")
	}
	path := ts.MkAbs(args[0])
	var at int64
	_, err := fmt.Sscan(args[1], &at)
	ts.Check(err)
	ts.Check(os.Chmod(path, 0o600))
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	ts.Check(err)
	defer f.Close()
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	ts.Check(err)
	b[0] ^= 1
	_, err = f.WriteAt(b, at)
	ts.Check(err)
}

func truncate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: truncate FILE N")
	}
	var n int64
	_, err := fmt.Sscan(args[1], &n)
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), n))
}
