package runtime

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fullState is a state with everything in it.
func fullState() map[string]modelRecord {
	r := func(v string) Release {
		return Release{Model: "acme/vad", Version: v, Sequence: 7, Release: "cid-" + v, Variant: "fp32", Dir: "/models/" + v, Entry: "a/model.onnx"}
	}
	v1, v2 := r("1"), r("2")
	return map[string]modelRecord{
		"acme/vad": {
			Model: "acme/vad", Active: &v2, Previous: &v1,
			Pending: &pending{Release: r("3"), Stage: StageLoading, Tries: 1},
			Failed:  []Attempt{{Release: r("0"), Stage: StageProbing, Reason: "crash", At: time.Unix(1, 0).UTC(), Count: 2}},
		},
	}
}

func TestStateSurvivesTheDisk(t *testing.T) {
	dir := t.TempDir()
	want := fullState()
	if err := writeState(dir, want); err != nil {
		t.Fatal(err)
	}
	got, err := readState(dir)
	if err != nil {
		t.Fatal(err)
	}
	a, errA := encodeState(want)
	b, errB := encodeState(got)
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("wrote %s, read %s", a, b)
	}
}

func TestUnreadableStateIsNotIgnored(t *testing.T) {
	good, err := encodeState(fullState())
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, with string) string {
		if !strings.Contains(string(good), old) {
			t.Fatalf("%q is not in the state", old)
		}
		return strings.Replace(string(good), old, with, 1)
	}
	for name, text := range map[string]string{
		"empty":             "",
		"cut":               string(good[:len(good)/2]),
		"something follows": string(good) + "{}",
		"newer schema":      replace(`"schema": 2`, `"schema": 3`),
		"unknown field":     replace(`"schema": 2`, `"schema": 2, "x": 1`),
		"foreign release": replace(`"model": "acme/vad",
        "version": "2"`, `"model": "evil/vad",
        "version": "2"`),
		"path out of the folder": replace(`a/model.onnx`, `../../model.onnx`),
		"relative folder":        replace(`/models/2`, `models/2`),
		"unknown stage":          replace(`"loading"`, `"dancing"`),
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			if err := os.MkdirAll(s.state, 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(s.state, stateFile)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := New(Config{StateDir: s.state, Engine: s.engine, Prober: s.prober, Logger: discard})
			if !errors.Is(err, ErrState) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, want ErrState that names %s", err, path)
			}
			if kept, err := os.ReadFile(path); err != nil || string(kept) != text {
				t.Errorf("the file was touched: %q, %v", kept, err)
			}
		})
	}
}

func TestConfigIsChecked(t *testing.T) {
	if _, err := New(Config{StateDir: "relative"}); err == nil {
		t.Error("an empty config is accepted")
	} else {
		for _, missing := range []string{"absolute", "engine", "prober", "logger"} {
			if !strings.Contains(err.Error(), missing) {
				t.Errorf("%v does not tell about %s", err, missing)
			}
		}
	}
}

func FuzzDecodeState(f *testing.F) {
	good, err := encodeState(fullState())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"schema":1,"models":[]}`))
	f.Add([]byte(`{"schema":1,"models":[{"model":""},{"model":""}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		models, err := decodeState(data)
		if err != nil {
			return
		}
		first, err := encodeState(models)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeState(first)
		if err != nil {
			t.Fatalf("accepted, but not when written again: %v", err)
		}
		if second, err := encodeState(again); err != nil || !bytes.Equal(first, second) {
			t.Fatalf("written differently the second time: %v\n%s\n%s", err, first, second)
		}
	})
}
