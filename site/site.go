package site

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Site is this node's view of its site. Make one with [New]; its methods may be
// called from any goroutine.
type Site struct {
	cfg     Config
	self    peer.ID
	weight  uint64 // of this node as a gateway
	subnets *subnets
	vetoes  *vetoes
	wakeUp  chan struct{} // buffered: Run is to look at the clock again

	mu        sync.Mutex // guards all below
	started   bool
	contact   bool      // with the outside
	contactAt time.Time // since when
	members   map[peer.ID]*member
	errands   map[manifest.CID]*errand
	queue     []*errand // all of them, those told of first

	pins           [][]byte
	morePins       bool
	gatewaySince   uint64 // 0 if this node is no gateway
	gatewayChanged chan struct{}
	dark           time.Time // since when nobody has contact; zero if somebody has
	visit          time.Time // when this node looks outside for itself

	looked  time.Duration // how long the last look took
	again   time.Time     // when to look again; zero for never
	tellAt  time.Time     // when to tell what has changed; zero for nothing
	toldAt  time.Time     // when that was last done
	told    *state        // what was told
	telling []byte        // the same as a message
	news    chan struct{} // closed when telling is replaced

	links    map[peer.ID]*link
	attempts map[peer.ID]*attempt
	scanAt   time.Time // when to look at connections again; zero for never
	handlers sync.WaitGroup
	open     bool // streams are taken
}

// New checks the configuration and returns a Site that knows nobody: it
// registers nothing with the host before Run. The error wraps [ErrConfig].
func New(cfg Config) (*Site, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	s := &Site{
		cfg: cfg, self: cfg.Host.ID(), weight: weigh(cfg.Host.ID(), []byte("gateway")),
		subnets: &subnets{list: net.InterfaceAddrs}, vetoes: newVetoes(), wakeUp: make(chan struct{}, 1),
		members: make(map[peer.ID]*member), errands: make(map[manifest.CID]*errand),
		gatewaySince: uint64(max(1, now.Unix())), gatewayChanged: make(chan struct{}), news: make(chan struct{}),
		links: make(map[peer.ID]*link), attempts: make(map[peer.ID]*attempt),
	}
	s.planVisit(now)
	return s, s.publish(now)
}

// Run meets the members of the site and keeps to what they agree until ctx ends,
// and then returns nil; any other return is an error of the host. Everything that
// it started has ended when it returns. It may be called once.
func (s *Site) Run(ctx context.Context) error {
	s.mu.Lock()
	if s.started {
		s.mu.Unlock()
		return fmt.Errorf("%w: run a second time", ErrConfig)
	}
	s.started, s.open = true, true
	s.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer s.leave() // after cancel, which ends what it waits for
	defer cancel()
	events, err := s.watch()
	if err != nil {
		return err
	}
	defer events.Close()
	s.cfg.Host.SetStreamHandler(ProtocolID, s.serve(ctx))
	defer s.cfg.Host.RemoveStreamHandler(ProtocolID)
	s.scan(ctx)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-events.Out():
			if !ok {
				return nil // the host is closed
			}
			if e, ok := e.(event.EvtPeerIdentificationCompleted); ok {
				s.recheck(e.Conn)
			}
			s.scan(ctx)
		case <-s.wakeUp:
		case <-timer.C:
		}
		next, scan, err := s.tick()
		if err != nil {
			return err
		}
		if scan {
			s.scan(ctx)
			continue
		}
		if next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(next))
		}
	}
}

// leave takes no more streams and waits for those that are open.
func (s *Site) leave() {
	s.mu.Lock()
	s.open = false
	s.mu.Unlock()
	s.handlers.Wait()
}

// tick does what is due, and says when something will be next.
func (s *Site) tick() (next time.Time, scan bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if due(s.again, now) {
		s.look(now)
	}
	if due(s.tellAt, now) {
		if err := s.publish(now); err != nil {
			return next, false, err
		}
	}
	return sooner(sooner(s.again, s.tellAt), s.scanAt), due(s.scanAt, now), nil
}

func due(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

// look works out anew whose turn everything is, and plans to tell what has
// changed of this node. It holds mu.
func (s *Site) look(now time.Time) {
	began := time.Now()
	defer func() { s.looked = time.Since(began) }()
	s.rotate(now)
	var again time.Time
	for _, e := range s.errands {
		again = sooner(again, s.decide(e, now))
	}
	s.again = sooner(again, s.elect(now))
	if s.changed() {
		at := now.Add(coalesce)
		if earliest := s.toldAt.Add(tellInterval); at.Before(earliest) {
			at = earliest
		}
		s.tell(at)
	}
	s.poke()
}
