package lab_test

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/testnet/lab"
)

// newLab makes a lab for one test, or skips the test.
func newLab(t *testing.T, sites ...lab.Site) *lab.Lab {
	t.Helper()
	l, err := lab.New(t.Context(), lab.Config{Sites: sites})
	if errors.Is(err, lab.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// open opens a UDP socket at a node.
func open(t *testing.T, n *lab.Node) *net.UDPConn {
	t.Helper()
	var c *net.UDPConn
	if err := n.In(func() (err error) {
		c, err = net.ListenUDP("udp4", &net.UDPAddr{IP: n.Address().AsSlice(), Port: 4000})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// send sends packets of size bytes of payload, one after the other has arrived,
// and returns how many arrived.
func send(t *testing.T, from, to *net.UDPConn, packets, size int) int {
	t.Helper()
	buf := make([]byte, size+1)
	arrived := 0
	for range packets {
		if _, err := from.WriteTo(buf[:size], to.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		if err := to.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		switch n, err := to.Read(buf); {
		case errors.Is(err, os.ErrDeadlineExceeded):
		case err != nil:
			t.Fatal(err)
		case n != size:
			t.Fatalf("packet of %d bytes, want %d", n, size)
		default:
			arrived++
		}
	}
	return arrived
}

func counters(t *testing.T, l *lab.Lab) []lab.Counter {
	t.Helper()
	c, err := l.Counters()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What an uplink carries is counted to the byte, and what stays on a LAN is
// not. Ethernet, IPv4 and UDP headers take 42 bytes.
func TestCountersAreExact(t *testing.T) {
	const packets, size, headers = 25, 1000, 42
	l := newLab(t, lab.Site{Nodes: 2, Up: 10 * lab.Mbit, Down: 10 * lab.Mbit}, lab.Site{Nodes: 1, Up: 10 * lab.Mbit, Down: 10 * lab.Mbit})
	a, b, far := open(t, l.Node(0, 0)), open(t, l.Node(0, 1)), open(t, l.Node(1, 0))
	before := counters(t, l)
	if n := send(t, a, b, packets, size); n != packets {
		t.Fatalf("%d of %d packets crossed a LAN", n, packets)
	}
	if n := send(t, a, far, packets, size); n != packets {
		t.Fatalf("%d of %d packets crossed two uplinks", n, packets)
	}
	after := counters(t, l)
	const bytes = packets * (size + headers)
	for site, want := range []lab.Counter{{BytesOut: bytes, PacketsOut: packets}, {BytesIn: bytes, PacketsIn: packets}} {
		if got := after[site].Sub(before[site]); got != want {
			t.Errorf("site %d: counted %+v, want %+v", site, got, want)
		}
	}
}

// A stream takes the time that the slower direction's rate says, and packets
// on the wire are no longer than a frame.
func TestUplinksAreShaped(t *testing.T) {
	const size = 400_000
	l := newLab(t, lab.Site{Nodes: 1, Up: 2 * lab.Mbit, Down: 8 * lab.Mbit}, lab.Site{Nodes: 1, Up: lab.Mbit, Down: 8 * lab.Mbit})
	for _, c := range []struct {
		from, to int
		rate     lab.Rate
	}{{0, 1, 2 * lab.Mbit}, {1, 0, lab.Mbit}} {
		before := counters(t, l)
		took := stream(t, l.Node(c.from, 0), l.Node(c.to, 0), size)
		crossed := counters(t, l)[c.to].Sub(before[c.to])
		ideal := time.Duration(float64(crossed.BytesIn*8) / float64(c.rate) * float64(time.Second))
		t.Logf("site %d to %d: %d bytes in %d packets took %v, at line rate %v", c.from, c.to, crossed.BytesIn, crossed.PacketsIn, took, ideal)
		if took < ideal*9/10 || took > 2*ideal { // no faster than shaped; a busy machine may be slower
			t.Errorf("site %d to %d: took %v, at line rate %v", c.from, c.to, took, ideal)
		}
		if least := uint64(size / 1448); crossed.PacketsIn < least {
			t.Errorf("site %d to %d: %d bytes in %d packets, want %d or more: a packet is longer than a frame", c.from, c.to, size, crossed.PacketsIn, least)
		}
	}
}

// stream sends size bytes over TCP and returns how long it took until they were
// all there.
func stream(t *testing.T, from, to *lab.Node, size int) time.Duration {
	t.Helper()
	var listener net.Listener
	if err := to.In(func() (err error) {
		listener, err = net.Listen("tcp4", net.JoinHostPort(to.Address().String(), "0"))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var out net.Conn
	if err := from.In(func() (err error) {
		out, err = net.Dial("tcp4", listener.Addr().String())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	in, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	start := time.Now()
	sent := make(chan error, 1)
	go func() {
		_, err := out.Write(make([]byte, size))
		sent <- errors.Join(err, out.Close())
	}()
	n, err := io.Copy(io.Discard, in)
	took := time.Since(start)
	if err := errors.Join(err, <-sent); err != nil {
		t.Fatal(err)
	}
	if n != int64(size) {
		t.Fatalf("%d bytes arrived, want %d", n, size)
	}
	return took
}

// A cut uplink is silent both ways and harms nothing else; restored, it works
// as before.
func TestCutAndRestore(t *testing.T) {
	l := newLab(t, lab.Site{Nodes: 2, Up: lab.Mbit, Down: lab.Mbit}, lab.Site{Nodes: 1}, lab.Site{Nodes: 1})
	a, b := open(t, l.Node(0, 0)), open(t, l.Node(0, 1))
	far, other := open(t, l.Node(1, 0)), open(t, l.Node(2, 0))
	for _, c := range []struct {
		do   func() error
		want int
	}{
		{func() error { return l.Cut(t.Context(), 0) }, 0},
		{func() error { return l.Restore(t.Context(), 0) }, 3},
	} {
		if err := c.do(); err != nil {
			t.Fatal(err)
		}
		before := counters(t, l)[0]
		for what, n := range map[string]int{"out": send(t, a, far, 3, 100), "in": send(t, far, a, 3, 100)} {
			if n != c.want {
				t.Errorf("%s: %d of 3 packets crossed, want %d", what, n, c.want)
			}
		}
		if got := counters(t, l)[0].Sub(before); got.PacketsIn != uint64(c.want) || got.PacketsOut != uint64(c.want) {
			t.Errorf("counted %+v, want %d packets each way", got, c.want)
		}
		if send(t, a, b, 3, 100) != 3 || send(t, far, other, 3, 100) != 3 {
			t.Error("packets were lost elsewhere")
		}
	}
}

// A node that moves talks to its new neighbours over their LAN.
func TestMove(t *testing.T) {
	l := newLab(t, lab.Site{Nodes: 2}, lab.Site{Nodes: 1})
	n, there := l.Node(0, 1), open(t, l.Node(1, 0))
	old := n.Address()
	if err := l.Move(t.Context(), n, 1); err != nil {
		t.Fatal(err)
	}
	if n.Site() != 1 || n.Address() == old || len(l.Nodes(0)) != 1 || len(l.Nodes(1)) != 2 {
		t.Fatalf("after the move: site %d, address %s, %d and %d nodes", n.Site(), n.Address(), len(l.Nodes(0)), len(l.Nodes(1)))
	}
	before := counters(t, l)
	if got := send(t, open(t, n), there, 3, 100); got != 3 {
		t.Errorf("%d of 3 packets arrived", got)
	}
	if got := counters(t, l)[1].Sub(before[1]); got != (lab.Counter{}) {
		t.Errorf("the uplink counted %+v", got)
	}
}

// SetRate holds from then on.
func TestSetRate(t *testing.T) {
	l := newLab(t, lab.Site{Nodes: 1}, lab.Site{Nodes: 1})
	if err := l.SetRate(t.Context(), 1, lab.Mbit, 2*lab.Mbit); err != nil {
		t.Fatal(err)
	}
	if took := stream(t, l.Node(0, 0), l.Node(1, 0), 100_000); took < 350*time.Millisecond {
		t.Errorf("100 kB at 2 Mbit/s took %v", took)
	}
	if err := l.SetRate(t.Context(), 1, 0, 0); err != nil {
		t.Fatal(err)
	}
	if took := stream(t, l.Node(0, 0), l.Node(1, 0), 100_000); took > 200*time.Millisecond {
		t.Errorf("100 kB without a bound took %v", took)
	}
}

// Close ends what runs in the lab, and removes every namespace; a lab in use
// survives the making of others.
func TestNothingIsLeft(t *testing.T) {
	l := newLab(t, lab.Site{Nodes: 1})
	var names []string
	for range 2 {
		other, err := lab.New(t.Context(), lab.Config{Sites: []lab.Site{{Nodes: 1}}})
		if err != nil {
			t.Fatal(err)
		}
		words := append(other.Node(0, 0).Exec(), "sleep", "60")
		cmd := exec.Command(words[0], words[1:]...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		waitFor(t, cmd.Process.Pid, "sleep")
		names = append(names, words[3])
		if err := other.Close(); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err == nil || cmd.ProcessState.Success() {
			t.Errorf("the process ended with %v, want it killed", err)
		}
	}
	for _, name := range names {
		prefix := name[:strings.LastIndex(name, "-")]
		if left, _ := filepath.Glob("/run/netns/" + prefix + "*"); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
	if err := l.Node(0, 0).In(func() error { return nil }); err != nil {
		t.Errorf("the lab in use: %v", err)
	}
}

// waitFor returns once a process runs the program.
func waitFor(t *testing.T, pid int, program string) {
	t.Helper()
	for t.Context().Err() == nil {
		name, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "comm"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(string(name)) == program {
			return
		}
	}
}
