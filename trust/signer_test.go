package trust

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSignerKeepsItsKeyPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys", "acme")
	s := must(CreatePublisher(dir, "acme", epoch))
	_ = s.Close()
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, keyFile): 0o600, filepath.Join(dir, signerFile): 0o600} {
		if got := must(os.Stat(path)).Mode().Perm(); got != want {
			t.Errorf("%s has mode %v, want %v", path, got, want)
		}
	}
	if _, err := CreatePublisher(dir, "acme", epoch); !errors.Is(err, ErrExists) {
		t.Errorf("creating over it: %v, want ErrExists", err)
	}
	if left := must(os.ReadDir(filepath.Dir(dir))); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	for _, path := range []string{dir, filepath.Join(dir, keyFile)} {
		mode := must(os.Stat(path)).Mode().Perm()
		must(0, os.Chmod(path, mode|0o044))
		if _, err := OpenSigner(dir); !errors.Is(err, ErrState) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "chmod") {
			t.Errorf("%s open to others: %v", path, err)
		}
		must(0, os.Chmod(path, mode))
	}
	again := must(OpenSigner(dir))
	defer again.Close()
	if again.Name() != "acme" || again.Fingerprint() != SumFingerprint(again.Root()) {
		t.Errorf("%s %s", again.Name(), again.Fingerprint())
	}
	if _, err := OpenSigner(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("opened twice: %v, want ErrLocked", err)
	}
}

func TestOpenSignerRefusesDamage(t *testing.T) {
	other := newSigner(t, "other")
	for name, damage := range map[string]func(dir string) error{
		"no key":       func(dir string) error { return os.Remove(filepath.Join(dir, keyFile)) },
		"no state":     func(dir string) error { return os.Remove(filepath.Join(dir, signerFile)) },
		"broken key":   func(dir string) error { return os.WriteFile(filepath.Join(dir, keyFile), []byte("x"), 0o600) },
		"broken state": func(dir string) error { return os.Truncate(filepath.Join(dir, signerFile), 500) },
		"another's key": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, keyFile), must(os.ReadFile(filepath.Join(other.dir, keyFile))), 0o600)
		},
	} {
		dir := filepath.Join(t.TempDir(), "acme")
		_ = must(CreatePublisher(dir, "acme", epoch)).Close()
		must(0, damage(dir))
		if s, err := OpenSigner(dir); err == nil {
			_ = s.Close()
			t.Errorf("%s: opened", name)
		}
	}
}

func TestSignIsIdempotentAndNeverContradicts(t *testing.T) {
	s := newSigner(t, "acme")
	first := sign(t, s, "acme/vad", "1")
	head := s.Head()
	if again := sign(t, s, "acme/vad", "1"); again != first || !bytes.Equal(s.Head().Timestamp, head.Timestamp) {
		t.Errorf("signing the newest again made %+v of %+v", again, first)
	}
	_, err := s.Sign(SignRequest{Model: "acme/vad", Version: "1", Manifest: block("other"), Size: 700, Now: epoch})
	if !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), first.Manifest.String()) {
		t.Errorf("another manifest under version 1: %v", err)
	}
	for i := range 10 {
		sign(t, s, "acme/vad", fmt.Sprint(i+2))
	}
	if _, err := s.Sign(SignRequest{Model: "acme/vad", Version: "1", Manifest: block("other"), Size: 700, Now: epoch}); !errors.Is(err, ErrConflict) {
		t.Errorf("after it left the metadata: %v", err)
	}
	if r, ok := s.Release("acme/vad", "1"); !ok || r != first {
		t.Errorf("%+v %t", r, ok)
	}
	for name, request := range map[string]SignRequest{
		"no model":    {Version: "1", Manifest: block("x"), Size: 1},
		"bad version": {Model: "acme/vad", Version: "a/b", Manifest: block("x"), Size: 1},
		"no manifest": {Model: "acme/vad", Version: "x", Size: 1},
		"no size":     {Model: "acme/vad", Version: "x", Manifest: block("x")},
	} {
		if _, err := s.Sign(request); err == nil {
			t.Errorf("%s was signed", name)
		}
	}
}

// A Signer that cannot write signs nothing, and nothing more until reopened.
func TestSignerStopsWhenItCannotWrite(t *testing.T) {
	s := newSigner(t, "acme")
	sign(t, s, "acme/vad", "1")
	head, dir := s.Head(), s.dir
	s.dir = filepath.Join(dir, "gone")
	for range 2 {
		if _, err := s.Sign(SignRequest{Model: "acme/vad", Version: "2", Manifest: block("2"), Size: 1, Now: epoch}); !errors.Is(err, ErrState) {
			t.Errorf("%v, want ErrState", err)
		}
		s.dir = dir
	}
	if !bytes.Equal(s.Head().Timestamp, head.Timestamp) {
		t.Error("what could not be written is handed out")
	}
	_ = s.Close()
	again := must(OpenSigner(dir))
	defer again.Close()
	sign(t, again, "acme/vad", "3")
}

// A restored backup adopts what the mesh holds before it signs again.
func TestAdoptAfterRestore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "acme")
	s := must(CreatePublisher(dir, "acme", epoch))
	sign(t, s, "acme/vad", "1")
	backup := must(os.ReadFile(filepath.Join(dir, signerFile)))
	r := newRegistry(t, s.Root())
	sign(t, s, "acme/vad", "2")
	catchUp(t, r, s.Fingerprint(), s.Update)
	_ = s.Close()
	must(0, os.WriteFile(filepath.Join(dir, signerFile), backup, 0o600))
	s = must(OpenSigner(dir))
	defer s.Close()
	u, _, err := r.Update(s.Fingerprint(), s.Have())
	if err != nil {
		t.Fatal(err)
	}
	if changed, err := s.Adopt(u); !changed || err != nil {
		t.Fatal(changed, err)
	}
	if r3 := sign(t, s, "acme/vad", "3"); r3.Sequence != 3 {
		t.Errorf("%+v", r3)
	}
	catchUp(t, r, s.Fingerprint(), s.Update)
	if found := must(r.Evidence()); len(found) != 0 {
		t.Errorf("%+v", found)
	}
}

// signingChild is the environment variable that makes this test binary sign
// releases in the folder it names, printing each head, until it is killed.
const signingChild = "DUNLIN_TRUST_TEST_SIGN"

func TestMain(m *testing.M) {
	if dir := os.Getenv(signingChild); dir != "" {
		if err := signForEver(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func signForEver(dir string) error {
	s, err := OpenSigner(dir)
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	for {
		// The content differs each time, so signing twice under one number
		// would be found out.
		version := fmt.Sprintf("%d-%d", os.Getpid(), time.Now().UnixNano())
		if _, err := s.Sign(SignRequest{Model: "acme/vad", Version: version, Manifest: block(version), Size: 1, Now: time.Now()}); err != nil {
			return err
		}
		u, _ := s.Update(Have{})
		if err := out.Encode(u); err != nil {
			return err
		}
	}
}

// kill -9 at random moments: the signer always opens again, and nothing that
// it ever handed out is contradicted or lost.
func TestKilledSignerNeverEquivocates(t *testing.T) {
	kills := 15
	if testing.Short() {
		kills = 4
	}
	dir := filepath.Join(t.TempDir(), "acme")
	s := must(CreatePublisher(dir, "acme", epoch))
	r := newRegistry(t, s.Root())
	fp := s.Fingerprint()
	_ = s.Close()
	handedOut := 0
	for range kills {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), signingChild+"="+dir)
		cmd.Stderr = os.Stderr
		out := must(cmd.StdoutPipe())
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines, moment := bufio.NewReader(out), rand.IntN(6)
		for i := 0; ; i++ {
			line, err := lines.ReadBytes('\n')
			if err != nil {
				break // an update that was cut short was not handed out
			}
			if i == moment {
				time.AfterFunc(time.Duration(rand.IntN(20_000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
			}
			var u Update
			if err := json.Unmarshal(line, &u); err != nil {
				t.Fatal(err)
			}
			if changed, err := r.Apply(fp, u); err != nil || !changed {
				t.Fatalf("update %d: changed %t, %v", handedOut, changed, err)
			}
			handedOut++
		}
		_ = cmd.Wait()
		again, err := OpenSigner(dir)
		if err != nil {
			t.Fatalf("after a kill: %v", err)
		}
		if have := again.Have(); have.Timestamp < r.Have(fp).Timestamp {
			t.Fatalf("handed out timestamp %d and kept %d", r.Have(fp).Timestamp, have.Timestamp)
		}
		_ = again.Close()
	}
	if found := must(r.Evidence()); len(found) != 0 {
		t.Fatalf("the signer contradicted itself: %+v", found)
	}
	t.Logf("%d kills, %d updates handed out", kills, handedOut)
}

// Latest names what is newest and safe of each model, as a registry would.
func TestSignerLatest(t *testing.T) {
	s := newSigner(t, "acme")
	if got := s.Latest(); len(got) != 0 {
		t.Errorf("before any release: %+v", got)
	}
	sign(t, s, "acme/vad", "1")
	asr := sign(t, s, "acme/asr", "1")
	vad := sign(t, s, "acme/vad", "2")
	got := s.Latest()
	if len(got) != 2 || got[0].Manifest != asr.Manifest || got[1].Manifest != vad.Manifest || got[1].Sequence != 2 {
		t.Errorf("latest: %+v", got)
	}
}
