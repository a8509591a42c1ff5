package main

import (
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// pieceSize is what makers of torrents take for files of this size.
const pieceSize = 256 << 10

// torrent returns a metainfo file for one file (BEP 3).
func torrent(announce, name string, data []byte) []byte {
	var pieces strings.Builder
	for at := 0; at < len(data); at += pieceSize {
		sum := sha1.Sum(data[at:min(at+pieceSize, len(data))])
		pieces.Write(sum[:])
	}
	text := func(s string) string { return fmt.Sprintf("%d:%s", len(s), s) }
	return []byte("d" + text("announce") + text(announce) + text("info") +
		"d" + text("length") + fmt.Sprintf("i%de", len(data)) + text("name") + text(name) +
		text("piece length") + fmt.Sprintf("i%de", pieceSize) + text("pieces") + text(pieces.String()) + "e" + "e")
}

// tracker is an HTTP tracker with compact answers (BEP 23) that also serves
// torrents by name. It lives at a place, in this process. Make one with
// newTracker.
type tracker struct {
	server http.Server
	group  sync.WaitGroup

	mu       sync.Mutex // owns what follows
	swarms   map[string]map[netip.AddrPort]bool
	torrents map[string][]byte // by path
}

// announceInterval is what trackers ask for: public ones say half an hour.
const announceInterval = 30 * time.Minute

func newTracker(ctx context.Context, p place, port string) (*tracker, error) {
	t := &tracker{swarms: make(map[string]map[netip.AddrPort]bool), torrents: make(map[string][]byte)}
	mux := http.NewServeMux()
	mux.HandleFunc("/announce", t.announce)
	mux.HandleFunc("/", t.serve)
	t.server = http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	var config net.ListenConfig
	var listener net.Listener
	if err := p.In(func() (err error) {
		listener, err = config.Listen(ctx, "tcp4", net.JoinHostPort(p.Address().String(), port))
		return err
	}); err != nil {
		return nil, fmt.Errorf("tracker: %w", err)
	}
	t.group.Go(func() { _ = t.server.Serve(listener) }) // ends with Close
	return t, nil
}

// Close ends the tracker and waits for it.
func (t *tracker) Close() error {
	err := t.server.Close()
	t.group.Wait()
	if errors.Is(err, context.Canceled) || errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}

// offer serves a torrent under a path.
func (t *tracker) offer(path string, data []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.torrents[path] = data
}

func (t *tracker) serve(w http.ResponseWriter, r *http.Request) {
	t.mu.Lock()
	data, ok := t.torrents[r.URL.Path]
	t.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/x-bittorrent")
	_, _ = w.Write(data) // the client sees it
}

// announce notes the peer and answers with all others.
func (t *tracker) announce(w http.ResponseWriter, r *http.Request) {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	port, err2 := strconv.ParseUint(r.URL.Query().Get("port"), 10, 16)
	if err := errors.Join(err, err2); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	self := netip.AddrPortFrom(from.Addr().Unmap(), uint16(port))
	t.mu.Lock()
	defer t.mu.Unlock()
	key := r.URL.Query().Get("info_hash")
	if t.swarms[key] == nil {
		t.swarms[key] = make(map[netip.AddrPort]bool)
	}
	t.swarms[key][self] = true
	var peers []byte
	for p := range t.swarms[key] {
		if p != self {
			ip := p.Addr().As4()
			peers = append(append(peers, ip[:]...), byte(p.Port()>>8), byte(p.Port()))
		}
	}
	_, _ = fmt.Fprintf(w, "d8:intervali%de5:peers%d:%se", int(announceInterval.Seconds()), len(peers), peers)
}
