package site

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Paces of what is told.
const (
	coalesce       = 20 * time.Millisecond // changes are gathered for so long
	tellInterval   = 50 * time.Millisecond // and told so often at most
	growthInterval = time.Second           // that bytes came is told so often at most
	listenInterval = 5 * time.Millisecond  // what others say is gathered for so long
)

// releaseKey names a release in maps.
type releaseKey = manifest.CID

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
	errands   map[releaseKey]*errand
	queue     []*errand // all of them, those told of first

	pins           [][]byte
	morePins       bool
	gatewaySince   uint64 // 0 if this node is no gateway
	gatewayChanged chan struct{}
	dark           time.Time // since when nobody has contact; zero if somebody has
	visit          time.Time // when this node looks outside for itself

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
		members: make(map[peer.ID]*member), errands: make(map[releaseKey]*errand),
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
		case _, ok := <-events.Out():
			if !ok {
				return nil // the host is closed
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

// tell plans to tell the members what has changed. It holds mu.
func (s *Site) tell(at time.Time) {
	if s.tellAt.IsZero() || at.Before(s.tellAt) {
		s.tellAt = at
		s.poke()
	}
}

func (s *Site) poke() {
	select {
	case s.wakeUp <- struct{}{}:
	default:
	}
}

// changed says whether what was told is no longer so, bytes apart that only grew.
func (s *Site) changed() bool {
	t := s.told
	if t.Outside != s.contact || t.Gateway != s.gatewaySince || t.More != s.morePins || !slices.EqualFunc(t.Pins, s.pins, bytes.Equal) {
		return true
	}
	if len(t.Errands) != min(len(s.queue), MaxErrands) {
		return true
	}
	for _, st := range t.Errands {
		e := s.errands[st.Release]
		if e == nil || !e.listed || st.Outside != e.own.outside || (st.Bytes == 0) != (e.own.bytes == 0) {
			return true
		}
	}
	return false
}

// publish makes what this node is and does the message that members get. It
// holds mu, or nobody else knows s.
func (s *Site) publish(now time.Time) error {
	s.tellAt = time.Time{}
	next := &state{Outside: s.contact, Gateway: s.gatewaySince, Pins: s.pins, More: s.morePins}
	for _, e := range s.queue[:min(len(s.queue), MaxErrands)] {
		next.Errands = append(next.Errands, stance{Release: e.release, Outside: e.own.outside, Bytes: e.own.bytes})
	}
	slices.SortFunc(next.Errands, compareReleases)
	message, err := encode(&message{State: next})
	if err != nil {
		return err
	}
	if bytes.Equal(message, s.telling) {
		return nil
	}
	s.told, s.telling, s.toldAt = next, message, now
	close(s.news)
	s.news = make(chan struct{})
	return nil
}

// heard takes over what a member says of itself. It holds mu.
func (s *Site) heard(p peer.ID, said *state, now time.Time) {
	m := s.members[p]
	if m == nil {
		m = &member{weight: weigh(p, []byte("gateway")), stints: make(map[releaseKey]*stint)}
		s.members[p] = m
	}
	m.outside, m.gatewaySince, m.pins, m.more = said.Outside, said.Gateway, said.Pins, said.More
	stints := make(map[releaseKey]*stint, len(said.Errands))
	for _, st := range said.Errands {
		t := m.stints[st.Release]
		if t == nil {
			t = &stint{weight: weigh(p, st.Release.Bytes())}
		}
		if e := s.errands[st.Release]; t.hear(st, now, s.cfg.Lease) && e != nil {
			e.quiet = now
		}
		stints[st.Release] = t
	}
	for release, t := range m.stints {
		if e := s.errands[release]; t.outside && stints[release] == nil && e != nil {
			e.quiet = now
		}
	}
	m.stints = stints
	s.again = sooner(s.again, now.Add(listenInterval))
	s.poke()
}

// gone forgets a member. It holds mu.
func (s *Site) gone(p peer.ID, now time.Time) {
	for release, t := range s.members[p].stints {
		if e := s.errands[release]; t.outside && e != nil {
			e.quiet = now
		}
	}
	delete(s.members, p)
	s.look(now)
}

// Member is a node of this site.
type Member struct {
	ID      peer.ID
	Label   string // that it shows; empty for none
	Outside bool   // it has contact with the outside
	Gateway bool   // it is to keep that
	Errands []Work // by release
}

// Work is what a member does about a release.
type Work struct {
	Release manifest.CID
	Outside bool   // it fetches from outside
	Bytes   uint64 // that came from outside so far
}

// Members returns this node and then the other members, in order of their IDs.
func (s *Site) Members() []Member {
	s.mu.Lock()
	own := Member{ID: s.self, Label: s.cfg.Label, Outside: s.contact, Gateway: s.gatewaySince != 0}
	for _, e := range s.queue {
		own.Errands = append(own.Errands, Work{Release: e.release, Outside: e.own.outside, Bytes: e.own.bytes})
	}
	var others []Member
	for id, m := range s.members {
		other := Member{ID: id, Outside: m.outside, Gateway: m.gatewaySince != 0}
		for release, t := range m.stints {
			other.Errands = append(other.Errands, Work{Release: release, Outside: t.outside, Bytes: t.bytes})
		}
		others = append(others, other)
	}
	s.mu.Unlock()
	slices.SortFunc(others, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	all := append([]Member{own}, others...)
	for i := range all {
		if i > 0 {
			all[i].Label = s.LabelOf(all[i].ID)
		}
		slices.SortFunc(all[i].Errands, func(a, b Work) int { return bytes.Compare(a.Release.Bytes(), b.Release.Bytes()) })
	}
	return all
}
