package main

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/dunlin-mesh/dunlin/node/api"
)

type topCmd struct {
	Model string `help:"Only nodes that have to do with this model." placeholder:"MODEL"`
	Once  bool   `help:"Show one table and end, as without a terminal."`
}

// Help is the second part of `dunlin top --help`.
func (topCmd) Help() string {
	return `Shows what 'dunlin fleet' shows, live: drawn again each second, until q or Ctrl-C is pressed. Arrows up and down
scroll, left and right choose the column to sort by, r reverses. Without a terminal it shows one table and ends.

Examples:
  dunlin top
  ssh -t gateway dunlin top --model acme/vad
  watch -n 60 dunlin top --once

Exit codes: 0 done, 2 wrong usage.`
}

// refresh is how often the screen is drawn again.
const refresh = time.Second

// Run shows the fleet until the user has seen enough.
func (c topCmd) Run(e *env) error {
	nodes, err := fleetNodes(e, c.Model)
	if err != nil {
		return err
	}
	if c.Once || e.json || !isTerminal(e.stdin) || !isTerminal(e.stdout) {
		return e.print(nodes, func(w io.Writer) { printFleet(w, nodes) })
	}
	if err := e.close(); err != nil { // a node that is to come up needs the home
		return err
	}
	e.local = nil
	screen, err := openScreen(e.stdout)
	if err != nil {
		return err
	}
	return errors.Join(c.watch(e, screen, nodes), screen.close())
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// watch draws until a key or the context ends it.
func (c topCmd) watch(e *env, screen *screen, nodes []api.FleetNode) error {
	view := &topView{nodes: nodes}
	ticker := time.NewTicker(refresh)
	defer ticker.Stop()
	for {
		view.width, view.height = screen.size()
		if err := screen.draw(view.draw()); err != nil {
			return err
		}
		select {
		case <-e.Done():
			return nil
		case pressed, ok := <-screen.keys:
			if !ok {
				return nil // the terminal is gone
			}
			if slices.ContainsFunc(pressed, view.press) {
				return nil
			}
		case <-ticker.C:
			c.look(e, view)
		}
	}
}

// look asks the node again. Where none answers, what was known last grows older.
func (c topCmd) look(e *env, view *topView) {
	view.note = "no node runs here: what was known last"
	if client, ok := api.Dial(e, e.dir); ok {
		nodes := []api.FleetNode{}
		if err := client.Call(e, "fleet", nil, &nodes, nil); err != nil {
			view.note = "the node does not answer: " + err.Error()
		} else {
			view.nodes, view.note = onlyModel(nodes, c.Model), ""
			return
		}
	}
	for i := range view.nodes {
		view.nodes[i].AgeSeconds += refresh.Seconds()
		view.nodes[i].Connected = false
	}
}

// screen is a terminal in raw mode, its other page shown.
type screen struct {
	out   io.Writer
	tty   *os.File
	state *term.State
	keys  chan []key    // closed when the terminal says no more
	quit  chan struct{} // closed by close
	done  chan struct{} // closed when nobody reads keys any more
}

// openScreen takes over the controlling terminal until close.
func openScreen(out io.Writer) (*screen, error) {
	tty, err := os.OpenFile(ttyName, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	s := &screen{out: out, tty: tty, keys: make(chan []key), quit: make(chan struct{}), done: make(chan struct{})}
	err = s.control(func(fd int) error {
		s.state, err = term.MakeRaw(fd)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, tty.Close())
	}
	go s.read()
	_, err = io.WriteString(out, "\x1b[?1049h\x1b[?25l\x1b[?7l") // other page, no cursor, no wrapping
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// control runs f on the terminal's descriptor, which stays under a deadline.
func (s *screen) control(f func(fd int) error) error {
	raw, err := s.tty.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	return errors.Join(raw.Control(func(fd uintptr) { failed = f(int(fd)) }), failed)
}

// read passes on keys until the terminal is gone or close is called.
func (s *screen) read() {
	defer close(s.done)
	defer close(s.keys)
	buf := make([]byte, 64)
	for {
		n, err := s.tty.Read(buf)
		if err != nil {
			return
		}
		select {
		case s.keys <- parseKeys(buf[:n]):
		case <-s.quit:
			return
		}
	}
}

// size returns columns and lines, the usual ones if the terminal does not say.
func (s *screen) size() (width, height int) {
	width, height = 80, 24
	_ = s.control(func(fd int) error {
		if w, h, err := term.GetSize(fd); err == nil && w > 0 && h > 0 {
			width, height = w, h
		}
		return nil
	})
	return width, height
}

// draw replaces what is shown, in one write.
func (s *screen) draw(lines []string) error {
	_, err := io.WriteString(s.out, "\x1b[H"+strings.Join(lines, "\x1b[K\r\n")+"\x1b[K\x1b[J")
	return err
}

// close gives the terminal back as it was. Where a terminal cannot be woken from
// reading, its reader ends with the process.
func (s *screen) close() error {
	close(s.quit)
	if s.tty.SetReadDeadline(time.Now()) == nil {
		<-s.done
	}
	_, err := io.WriteString(s.out, "\x1b[?7h\x1b[?25h\x1b[?1049l")
	return errors.Join(err, s.control(func(fd int) error { return term.Restore(fd, s.state) }), s.tty.Close())
}
