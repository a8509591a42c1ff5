package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dunlin-mesh/dunlin/node"
)

// openPTY returns the two ends of a pseudo terminal of 100 columns and 12 lines.
func openPTY(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("SKIP: no pseudo terminals here: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	raw, err := master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	number := -1
	err = raw.Control(func(fd uintptr) {
		if unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0) == nil {
			number, _ = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
		_ = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: 12, Col: 100})
	})
	if err != nil || number < 0 {
		t.Fatalf("pseudo terminal %d: %v", number, err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	return master, slave
}

// tail is what a terminal has shown so far.
type tail struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (s *tail) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *tail) await(t *testing.T, want string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		s.mu.Lock()
		text := s.text.String()
		s.mu.Unlock()
		if strings.Contains(text, want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the terminal does not show %q: %q", want, text)
		}
	}
}

// On a terminal top takes the screen, draws, obeys keys and a signal, and gives
// the terminal back as it was.
func TestTopOnATerminal(t *testing.T) {
	t.Parallel()
	dunlin, err := exec.LookPath("dunlin") // testscript puts this very program there
	if err != nil {
		t.Skip("SKIP: no dunlin command")
	}
	home := filepath.Join(t.TempDir(), "n")
	config := node.DefaultConfig()
	config.Site, config.NoRuntime = "ship", true
	if _, err := node.Init(home, config); err != nil {
		t.Fatal(err)
	}
	for name, end := range map[string]func(*os.File, *exec.Cmd) error{
		"q":       func(master *os.File, _ *exec.Cmd) error { _, err := io.WriteString(master, "\x1b[Cq"); return err },
		"SIGTERM": func(_ *os.File, cmd *exec.Cmd) error { return cmd.Process.Signal(syscall.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			master, slave := openPTY(t)
			before, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), dunlin, "--dir", home, "top")
			cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			shown := new(tail)
			go func() { _, _ = io.Copy(shown, master) }() // ends with master
			shown.await(t, "\x1b[?1049h")
			shown.await(t, "1 node at 1 site")
			shown.await(t, "SITE ↓")
			shown.await(t, "no node runs here")
			if err := end(master, cmd); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("top ends with %v", err)
			}
			shown.await(t, "\x1b[?25h\x1b[?1049l")
			after, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
			if err != nil || *after != *before {
				t.Errorf("the terminal is left as %+v (%v), it was %+v", after, err, before)
			}
		})
	}
}
