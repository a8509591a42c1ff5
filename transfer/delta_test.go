package transfer

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// fakeBlock is the unit of fakeCoder.
const fakeBlock = 4 << 10

// fakeCoder codes a block as 0 if the old file has it at the same place, and
// otherwise as 1 and its bytes.
type fakeCoder struct {
	mu      sync.Mutex
	encoded int
	block   func(i int) // called before each block is encoded, if not nil
}

func (c *fakeCoder) Encode(ctx context.Context, old, next WholeFile, w io.Writer, e codec.Effort) error {
	c.mu.Lock()
	c.encoded++
	c.mu.Unlock()
	a, b := make([]byte, fakeBlock), make([]byte, fakeBlock)
	if _, err := w.Write([]byte{'F', byte(e)}); err != nil {
		return err
	}
	for at := int64(0); at < next.Size; at += fakeBlock {
		if err := ctx.Err(); err != nil {
			return err
		}
		if c.block != nil {
			c.block(int(at / fakeBlock))
		}
		n, err := next.ReadAt(b, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		m, _ := old.ReadAt(a, at)
		out := append([]byte{1}, b[:n]...)
		if bytes.Equal(a[:m], b[:n]) {
			out = []byte{0}
		}
		if _, err := w.Write(out); err != nil {
			return err
		}
	}
	return nil
}

func (c *fakeCoder) Decode(_ context.Context, old WholeFile, r io.Reader, w io.Writer) error {
	in := bufio.NewReaderSize(r, 1<<10)
	head := make([]byte, 2)
	if _, err := io.ReadFull(in, head); err != nil || head[0] != 'F' {
		return fmt.Errorf("%w: no fake delta (%w)", ErrCorrupt, err)
	}
	buf := make([]byte, fakeBlock)
	for at := int64(0); ; at += fakeBlock {
		kind, err := in.ReadByte()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var n int
		switch kind {
		case 0:
			n, _ = old.ReadAt(buf, at)
		case 1:
			n, err = io.ReadFull(in, buf)
			if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
				return err
			}
		default:
			return fmt.Errorf("%w: block of kind %d", ErrCorrupt, kind)
		}
		if _, err := w.Write(buf[:n]); err != nil {
			return err
		}
	}
}

// whole opens a file that the store holds, as a node would.
func (s *memStore) whole(_ context.Context, id manifest.FileID) (WholeFile, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var data []byte
	for i := range len(s.chunks[id]) {
		data = append(data, s.chunks[id][i]...)
	}
	return WholeFile{ReaderAt: bytes.NewReader(data), Closer: io.NopCloser(nil), Size: int64(len(data))}, nil
}

// withDeltas makes a node that codes deltas in the folder dir.
func withDeltas(tb testing.TB, s *memStore, coder *fakeCoder, dir string, edit ...func(*Config)) func(*Config) {
	tb.Helper()
	return func(c *Config) {
		c.Logger = slog.New(slog.NewTextHandler(tb.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
		c.Delta = &DeltaConfig{Dir: dir, Coder: coder, Open: s.whole, Format: 1}
		for _, e := range edit {
			e(c)
		}
	}
}

func deltaNode(tb testing.TB, h host.Host, s *memStore, coder *fakeCoder, edit ...func(*Config)) *node {
	tb.Helper()
	return newNode(tb, h, s, withDeltas(tb, s, coder, filepath.Join(tb.TempDir(), "deltas"), edit...))
}

// updated returns a release of one file and the next one, in which every other
// block is another, so that no chunk stays.
func updated(tb testing.TB, seed uint64, size int) (v1, v2 *release) {
	tb.Helper()
	v1 = makeRelease(tb, seed, size)
	other := makeRelease(tb, seed+100, size)
	data := slices.Clone(v1.data[0])
	for at := 0; at < size; at += 2 * fakeBlock {
		copy(data[at:min(at+fakeBlock, size)], other.data[0][at:])
	}
	return v1, releaseOf(tb, data)
}

// deltaSize is the length of the fake delta from v1 to v2.
func deltaSize(v2 *release) int {
	blocks := (len(v2.data[0]) + fakeBlock - 1) / fakeBlock
	return 2 + blocks + (blocks+1)/2*fakeBlock
}

func jobOf(v1, v2 *release) DeltaJob {
	return DeltaJob{Release: v2.manifest.CID, File: v2.files[0], Bases: []manifest.FileID{v1.files[0].ID()}}
}

func both(v1, v2 *release) *memStore { return v2.seed(v1.seed(newMemStore(), nil), nil) }

func onlyOld(v1, v2 *release) *memStore { return v2.seedBlocks(v1.seed(newMemStore(), nil)) }

// TestDelta: what travels is the delta, once; the second time it is coded
// nowhere, and a third peer has it from the second, which did not code it.
func TestDelta(t *testing.T) {
	v1, v2 := updated(t, 1, 2<<20)
	coder := &fakeCoder{}
	a := deltaNode(t, newHost(t), both(v1, v2), coder)
	b := deltaNode(t, newHost(t), onlyOld(v1, v2), coder)
	c := deltaNode(t, newHost(t), onlyOld(v1, v2), coder)
	meet(t, a, b)
	var last Progress
	job := jobOf(v1, v2)
	job.Progress = func(p Progress) { last = p }
	got, err := b.Delta(within(t, 30*time.Second), job)
	if err != nil {
		t.Fatal(err)
	}
	v2.check(t, b.store)
	want := DeltaResult{Basis: v1.files[0].ID(), Effort: codec.Strong, Bytes: uint64(deltaSize(v2)), Received: uint64(deltaSize(v2))}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	s := b.Stats()
	if over := int(s.BytesReceived+s.BytesSent) - deltaSize(v2); over > 1500 {
		t.Errorf("%d bytes beyond the delta", over)
	}
	if s.Deltas.BytesReceived != want.Bytes || a.Stats().Deltas.Coded != 1 || a.Stats().Deltas.BytesSent != want.Bytes {
		t.Errorf("stats %+v and %+v", s.Deltas, a.Stats().Deltas)
	}
	if last.StoredBytes != last.WantedBytes || last.FrameBytes != want.Bytes {
		t.Errorf("progress %+v", last)
	}
	a.stop()

	// The basis is gone at b; it passes the delta on.
	b.store.mu.Lock()
	delete(b.store.chunks, v1.files[0].ID())
	b.store.mu.Unlock()
	meet(t, b, c)
	if got, err = c.Delta(within(t, 30*time.Second), jobOf(v1, v2)); err != nil || got != want {
		t.Fatalf("%+v, %v", got, err)
	}
	v2.check(t, c.store)
	if coder.encoded != 1 {
		t.Errorf("coded %d times", coder.encoded)
	}
}

// TestNoDelta: each reason to fetch chunks after all is told.
func TestNoDelta(t *testing.T) {
	v1, v2 := updated(t, 2, 1<<20)
	other := makeRelease(t, 77, 1<<20)
	for _, tt := range []struct {
		name   string
		server func(t *testing.T) *node
		want   DeltaReason
	}{
		{"no basis", func(t *testing.T) *node {
			return deltaNode(t, newHost(t), v2.seed(newMemStore(), nil), &fakeCoder{})
		}, DeltaNoBasis},
		{"no deltas there", func(t *testing.T) *node { return newNode(t, newHost(t), both(v1, v2)) }, DeltaUnsupported},
		{"another format", func(t *testing.T) *node {
			return deltaNode(t, newHost(t), both(v1, v2), &fakeCoder{}, func(c *Config) { c.Delta.Format = 2 })
		}, DeltaUnsupported},
		{"no smaller", func(t *testing.T) *node {
			return deltaNode(t, newHost(t), both(other, v2), &fakeCoder{})
		}, DeltaWorse},
		{"no room there", func(t *testing.T) *node {
			return deltaNode(t, newHost(t), both(v1, v2), &fakeCoder{}, func(c *Config) { c.Delta.Coder = brokenCoder{} })
		}, DeltaFailed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := tt.server(t)
			store := other.seed(onlyOld(v1, v2), nil)
			b := deltaNode(t, newHost(t), store, &fakeCoder{})
			meet(t, a, b)
			job := jobOf(v1, v2)
			if tt.want == DeltaWorse {
				job = jobOf(other, v2)
			}
			_, err := b.Delta(within(t, time.Minute), job)
			if e, ok := errors.AsType[*NoDeltaError](err); !ok || e.Reason != tt.want {
				t.Fatalf("%v, want %q", err, tt.want)
			}
			if err := b.badPeer(a.host.ID()); err != nil {
				t.Errorf("the peer was blamed: %v", err)
			}
		})
	}
}

// TestOldRateIsNoReason: that a link was fast before keeps nobody from a delta.
func TestOldRateIsNoReason(t *testing.T) {
	v1, v2 := updated(t, 9, 1<<20)
	a := deltaNode(t, newHost(t), both(v1, v2), &fakeCoder{})
	b := deltaNode(t, newHost(t), onlyOld(v1, v2), &fakeCoder{})
	meet(t, a, b)
	r := b.peers.get(a.host.ID(), LAN, 1<<20)
	b.peers.delivered(r, 1e9, time.Millisecond)
	b.peers.put(r)
	if got, err := b.Delta(within(t, 30*time.Second), jobOf(v1, v2)); err != nil || got.Effort != codec.Strong {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestFastLinkGivesUp: a delta whose own bytes show that chunks are faster is
// given up soon.
func TestFastLinkGivesUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v1, v2 := updated(t, 10, 16<<20)
		l := link{1000 * mbit, time.Millisecond}
		hosts := simHosts(t, l, l)
		a := deltaNode(t, hosts[0], both(v1, v2), &fakeCoder{})
		b := deltaNode(t, hosts[1], onlyOld(v1, v2), &fakeCoder{})
		meet(t, a, b)
		_, err := b.Delta(within(t, time.Minute), jobOf(v1, v2))
		if e, ok := errors.AsType[*NoDeltaError](err); !ok || e.Reason != DeltaPlainFaster {
			t.Errorf("%v, want %q", err, DeltaPlainFaster)
		}
		if got := b.Stats().Deltas.BytesReceived; got > 4<<20 {
			t.Errorf("%d bytes of a delta came in vain", got)
		}
		a.stop()
		b.stop()
	})
}

// TestUselessDeltaPeer: a peer that gives chunks but breaks every delta session
// off keeps nobody from fetching chunks.
func TestUselessDeltaPeer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v1, v2 := updated(t, 8, 1<<20)
		l := link{10 * mbit, 10 * time.Millisecond}
		hosts := simHosts(t, l, l)
		b := deltaNode(t, hosts[0], onlyOld(v1, v2), &fakeCoder{})
		hosts[1].SetStreamHandler(DeltaProtocolID, func(s network.Stream) { _ = s.Reset() })
		connect(t, hosts[1], b.host)
		job := jobOf(v1, v2)
		job.Patience = 5 * time.Minute
		start := time.Now()
		_, err := b.Delta(within(t, time.Hour), job)
		if e, ok := errors.AsType[*NoDeltaError](err); !ok || e.Reason != DeltaNobodyReady {
			t.Errorf("%v, want %q", err, DeltaNobodyReady)
		}
		if took := time.Since(start); took > 6*time.Minute {
			t.Errorf("took %s", took)
		}
		b.stop()
	})
}

// TestDeltaNotForTheRest: of a file that came in chunks up to the last few, the
// rest comes so, too; but one whose chunks are those of the basis is coded.
func TestDeltaNotForTheRest(t *testing.T) {
	v1, v2 := updated(t, 7, 2<<20)
	a := deltaNode(t, newHost(t), both(v1, v2), &fakeCoder{})
	store := onlyOld(v1, v2)
	v2.seed(store, func(i int) bool { return i > 2 })
	b := deltaNode(t, newHost(t), store, &fakeCoder{})
	meet(t, a, b)
	_, err := b.Delta(within(t, time.Minute), jobOf(v1, v2))
	if e, ok := errors.AsType[*NoDeltaError](err); !ok || e.Reason != DeltaMostHere {
		t.Errorf("%v, want %q", err, DeltaMostHere)
	}

	changed := slices.Clone(v1.data[0])
	changed[len(changed)-1] ^= 1
	v3 := releaseOf(t, changed)
	v3.seed(a.store, nil)
	v3.seedBlocks(store)
	last := v3.chunkCount(0) - 1
	v3.seed(store, func(i int) bool { return i < last }) // as the store finds them in v1
	got, err := b.Delta(within(t, time.Minute), jobOf(v1, v3))
	if err != nil || got.Received > 5000 {
		t.Errorf("%+v, %v", got, err)
	}
	v3.check(t, store)
}

// TestCodingIsRationed: a peer has two deltas coded at once and so much time of
// it, which comes back.
func TestCodingIsRationed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &deltas{spent: map[peer.ID]*allowance{}}
		got := []bool{d.spend("a"), d.spend("a"), d.spend("a"), d.spend("b")}
		if !slices.Equal(got, []bool{true, true, false, true}) {
			t.Fatal("not two at once for each")
		}
		d.spentBy("a", codingBurst)
		d.spentBy("a", time.Minute)
		if d.spend("a") {
			t.Error("more than its time")
		}
		time.Sleep(codingShare * (time.Minute + time.Second))
		if !d.spend("a") {
			t.Error("the time does not come back")
		}
		d.spentBy("a", 0)
		d.spentBy("b", 0)
		time.Sleep(codingShare * codingBurst)
		for i := range 2 * maxSpenders {
			if id := peer.ID(fmt.Sprint(i)); !d.spend(id) {
				t.Fatalf("no place for peer %d", i)
			} else {
				d.spentBy(id, 0)
			}
		}
		if len(d.spent) > maxSpenders {
			t.Errorf("%d peers are remembered", len(d.spent))
		}
	})
}

type brokenCoder struct{ *fakeCoder }

func (brokenCoder) Encode(context.Context, WholeFile, WholeFile, io.Writer, codec.Effort) error {
	return errors.New("out of memory")
}

// TestDeltaResumes: cut off in the middle, over and over, and the process killed
// in between, each byte of the delta comes once.
func TestDeltaResumes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v1, v2 := updated(t, 3, 2<<20)
		l := link{2 * mbit, 20 * time.Millisecond}
		hosts := simHosts(t, l, l, l)
		coder := &fakeCoder{}
		a := deltaNode(t, hosts[0], both(v1, v2), coder)
		store, dir := onlyOld(v1, v2), t.TempDir()
		var received, lost uint64
		for i, h := range hosts[1:] {
			b := newNode(t, h, store, withDeltas(t, store, coder, dir))
			ctx, cancel := context.WithCancel(within(t, time.Hour))
			var cut sync.WaitGroup
			cut.Go(func() {
				for range 3 {
					connect(t, h, a.host)
					select {
					case <-time.After(800 * time.Millisecond):
					case <-ctx.Done():
						return
					}
					_ = h.Network().ClosePeer(a.host.ID())
					select {
					case <-time.After(15 * time.Second):
					case <-ctx.Done():
						return
					}
				}
				if i == 0 {
					cancel() // what is not synced is lost: see below
				} else {
					connect(t, h, a.host)
				}
			})
			got, err := b.Delta(ctx, jobOf(v1, v2))
			received += got.Received
			if i == 1 && err != nil {
				t.Fatal(err)
			}
			if i == 0 && !errors.Is(err, context.Canceled) {
				t.Fatalf("not cut off: %v", err)
			}
			cancel()
			cut.Wait()
			b.stop()
			if i == 0 { // a crash: bytes after the last sync are garbage
				lost = spoil(t, dir)
			}
		}
		v2.check(t, store)
		if received != uint64(deltaSize(v2))+lost || coder.encoded != 1 {
			t.Errorf("received %d bytes of a delta of %d, lost %d; coded %d times", received, deltaSize(v2), lost, coder.encoded)
		}
		a.stop()
	})
}

// spoil appends garbage to each part, as a crash would leave it.
func spoil(t *testing.T, dir string) uint64 {
	t.Helper()
	parts, err := filepath.Glob(filepath.Join(dir, "*"+deltaPartly))
	if err != nil || len(parts) != 1 {
		t.Fatalf("parts %v, %v", parts, err)
	}
	f, err := os.OpenFile(parts[0], os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	return 0
}

// TestGrowingDelta: several peers have one delta while it is being coded, which
// happens once, and the first bytes come before the last are coded.
func TestGrowingDelta(t *testing.T) {
	v1, v2 := updated(t, 4, 2<<20)
	gate := make(chan struct{})
	coder := &fakeCoder{block: func(i int) {
		if i == 300 {
			<-gate
		}
	}}
	a := deltaNode(t, newHost(t), both(v1, v2), coder)
	var nodes []*node
	for range 3 {
		nodes = append(nodes, deltaNode(t, newHost(t), onlyOld(v1, v2), &fakeCoder{}))
	}
	var all, half sync.WaitGroup
	for _, n := range nodes {
		meet(t, a, n)
		half.Add(1)
		once := sync.OnceFunc(half.Done)
		job := jobOf(v1, v2)
		job.Progress = func(p Progress) {
			if p.StoredBytes > 500<<10 {
				once()
			}
		}
		all.Go(func() {
			if _, err := n.Delta(within(t, 30*time.Second), job); err != nil {
				t.Error(err)
			}
		})
	}
	half.Wait()
	close(gate)
	all.Wait()
	for _, n := range nodes {
		v2.check(t, n.store)
	}
	if coder.encoded != 1 {
		t.Errorf("coded %d times", coder.encoded)
	}
}

// TestDeltaWaitsForWhoFetches: a peer that is still fetching the file is waited
// for; chunks do not come from it meanwhile.
func TestDeltaWaitsForWhoFetches(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v1, v2 := updated(t, 5, 2<<20)
		l := link{1 * mbit, 20 * time.Millisecond}
		hosts := simHosts(t, link{40_000, 20 * time.Millisecond}, l, l) // minutes for the first hop
		coder := &fakeCoder{}
		a := deltaNode(t, hosts[0], both(v1, v2), coder)
		b := deltaNode(t, hosts[1], onlyOld(v1, v2), coder)
		c := deltaNode(t, hosts[2], onlyOld(v1, v2), coder)
		meet(t, a, b)
		meet(t, b, c)
		var all sync.WaitGroup
		for _, n := range []*node{b, c} {
			all.Go(func() {
				job := jobOf(v1, v2)
				job.Patience = 90 * time.Second
				if _, err := n.Delta(within(t, time.Hour), job); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		v2.check(t, c.store)
		if coder.encoded != 1 || b.Stats().Deltas.BytesSent != uint64(deltaSize(v2)) || b.Stats().ChunksSent != 0 {
			t.Errorf("coded %d times; the one in the middle sent %+v and %d chunks", coder.encoded, b.Stats().Deltas, b.Stats().ChunksSent)
		}
		for _, n := range []*node{a, b, c} {
			n.stop()
		}
	})
}

// deltaRogue is a delta server that does as it likes once it was asked.
func deltaRogue(h host.Host, act func(c *conn, send func(*deltaMessage) bool)) {
	h.SetStreamHandler(ProtocolID, func(s network.Stream) { _ = s.Reset() })
	h.SetStreamHandler(DeltaProtocolID, func(s network.Stream) {
		defer func() { _ = s.Reset() }()
		c := newConn(s, 64<<10, time.Hour, time.Hour)
		if c.receiveInto(0, &deltaMessage{}) != nil {
			return
		}
		act(c, func(m *deltaMessage) bool { return c.send(m) == nil && c.flush() == nil })
		for c.receiveInto(0, &deltaMessage{}) == nil { // until the client has gone
		}
	})
}

// TestRogueDeltaServers: whatever a server does, it is dropped for the right
// reason, nothing wrong is stored, and the delta comes from elsewhere.
func TestRogueDeltaServers(t *testing.T) {
	v1, v2 := updated(t, 6, 1<<20)
	offered := func(f func(c *conn, send func(*deltaMessage) bool)) func(*conn, func(*deltaMessage) bool) {
		return func(c *conn, send func(*deltaMessage) bool) {
			if send(&deltaMessage{Offer: &deltaOffer{Effort: codec.Strong}}) && c.receiveInto(0, &deltaMessage{}) == nil {
				f(c, send)
			}
		}
	}
	data := func(c *conn, send func(*deltaMessage) bool, at int, p []byte) bool {
		if c.send(&deltaMessage{Data: &deltaData{Offset: uint64(at), Bytes: uint32(len(p))}}) != nil {
			return false
		}
		_, err := c.out.Write(p)
		return err == nil && c.flush() == nil
	}
	wrong := func() []byte { // a delta of other bytes
		p := []byte{'F', 2}
		for range 16 {
			p = append(append(p, 1), make([]byte, fakeBlock)...)
		}
		return p[:maxDeltaPiece]
	}
	for _, tt := range []struct {
		name string
		act  func(*conn, func(*deltaMessage) bool)
		want error // nil: no fault of the peer's
	}{
		{"wrong bytes", offered(func(c *conn, send func(*deltaMessage) bool) {
			for at := 0; data(c, send, at, wrong()); at += maxDeltaPiece {
			}
		}), ErrCorrupt},
		{"no delta", offered(func(c *conn, send func(*deltaMessage) bool) { data(c, send, 0, []byte("hello")) }), ErrCorrupt},
		{"endless", offered(func(c *conn, send func(*deltaMessage) bool) {
			zeros := make([]byte, maxDeltaPiece) // a copy of the basis, and more and more
			zeros[0], zeros[1] = 'F', 2
			for at := 0; data(c, send, at, zeros); at += len(zeros) {
				zeros[0], zeros[1] = 0, 0
			}
		}), ErrCorrupt},
		{"wrong digest", offered(func(c *conn, send func(*deltaMessage) bool) {
			data(c, send, 0, []byte("F\x02"))
			send(&deltaMessage{End: &deltaEnd{Bytes: 2}})
		}), ErrCorrupt},
		{"hole", offered(func(c *conn, send func(*deltaMessage) bool) { data(c, send, 100, []byte("hello")) }), ErrProtocol},
		{"large offer", func(c *conn, send func(*deltaMessage) bool) {
			send(&deltaMessage{Offer: &deltaOffer{Effort: codec.Strong, Bytes: 2 << 20}})
		}, ErrProtocol},
		{"basis that is none", func(c *conn, send func(*deltaMessage) bool) {
			send(&deltaMessage{Offer: &deltaOffer{Effort: codec.Strong, Basis: 1}})
		}, ErrProtocol},
		{"garbage", func(c *conn, send func(*deltaMessage) bool) { _, _ = c.out.Write([]byte("\x05hello")); _ = c.flush() }, ErrProtocol},
		{"take", func(c *conn, send func(*deltaMessage) bool) { send(&deltaMessage{Take: &deltaTake{}}) }, ErrProtocol},
		{"silence", func(*conn, func(*deltaMessage) bool) {}, ErrStalled},
		{"silence after the offer", offered(func(*conn, func(*deltaMessage) bool) {}), ErrStalled},
		{"codes for ever", offered(func(c *conn, send func(*deltaMessage) bool) {
			for send(&deltaMessage{Wait: &deltaWait{For: waitCoding}}) {
				time.Sleep(5 * time.Second)
			}
		}), ErrStalled},
		{"drip", offered(func(c *conn, send func(*deltaMessage) bool) {
			_ = c.send(&deltaMessage{Data: &deltaData{Bytes: maxDeltaPiece}})
			for c.flush() == nil {
				_, _ = c.out.Write([]byte{0})
				time.Sleep(time.Second)
			}
		}), ErrStalled},
		{"fault", offered(func(c *conn, send func(*deltaMessage) bool) { send(&deltaMessage{Fault: &deltaFault{Code: deltaGone}}) }), nil},
		{"unknown fault", func(c *conn, send func(*deltaMessage) bool) { send(&deltaMessage{Fault: &deltaFault{Code: "on fire"}}) }, nil},
		{"says it is coming", func(c *conn, send func(*deltaMessage) bool) {
			for send(&deltaMessage{Wait: &deltaWait{For: waitComing}}) {
				time.Sleep(time.Minute)
			}
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := link{100 * mbit, 5 * time.Millisecond}
				hosts := simHosts(t, l, l, l)
				coder := &fakeCoder{}
				b := deltaNode(t, hosts[0], onlyOld(v1, v2), coder)
				deltaRogue(hosts[1], tt.act)
				connect(t, hosts[1], b.host)
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				job := jobOf(v1, v2)
				job.Patience = time.Hour
				go func() { _, err := b.Delta(ctx, job); done <- err }()
				time.Sleep(90 * time.Second) // the rogue alone
				if err := b.badPeer(hosts[1].ID()); !errors.Is(err, tt.want) || tt.want == nil && err != nil {
					t.Errorf("dropped for %v, want %v", err, tt.want)
				}
				a := deltaNode(t, hosts[2], both(v1, v2), coder)
				meet(t, a, b)
				err := <-done
				if _, none := errors.AsType[*NoDeltaError](err); none { // it had given up before
					_, err = b.Delta(within(t, time.Hour), jobOf(v1, v2))
				}
				if err != nil {
					t.Error(err)
				} else {
					v2.check(t, b.store)
				}
				cancel()
				a.stop()
				b.stop()
				time.Sleep(2 * time.Minute) // the rogue wakes up
			})
		})
	}
}
