package site

import (
	"bufio"
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// circle is members of one site without any network: each hears within 10 ms
// what another one tells. It must be made inside a synctest bubble.
type circle struct {
	t     interface{ Fatal(...any) }
	lease time.Duration
	sites []*Site
	mute  map[int]bool // hangs: neither hears nor does anything
	gone  map[int]bool
	heard map[[2]int]*state // from, to: what was heard last
	sent  map[int]int       // messages told by each
}

const testLease = 10 * time.Second

// newCircle returns n members that have known each other for a while, all in
// contact with the outside if contact is set.
func newCircle(t interface{ Fatal(...any) }, n int, contact bool) *circle {
	c := &circle{t: t, lease: testLease, mute: map[int]bool{}, gone: map[int]bool{}, heard: map[[2]int]*state{}, sent: map[int]int{}}
	for range n {
		c.add(contact)
	}
	c.pass(time.Second)
	return c
}

// add makes one more member.
func (c *circle) add(contact bool) int {
	id := peer.ID(fmt.Sprintf("member %d", len(c.sites)))
	now := time.Now()
	s := &Site{
		cfg: Config{Lease: c.lease, Gateways: 2, Logger: slog.New(slog.DiscardHandler)}, self: id,
		weight: weigh(id, []byte("gateway")), wakeUp: make(chan struct{}, 1),
		members: map[peer.ID]*member{}, errands: map[manifest.CID]*errand{},
		gatewaySince: uint64(now.Unix()), gatewayChanged: make(chan struct{}), news: make(chan struct{}),
		contact: contact, contactAt: now,
	}
	s.planVisit(now)
	if err := s.publish(now); err != nil {
		c.t.Fatal(err)
	}
	c.sites = append(c.sites, s)
	return len(c.sites) - 1
}

// pass lets time pass, and messages.
func (c *circle) pass(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		c.step()
		time.Sleep(10 * time.Millisecond)
	}
}

func (c *circle) step() {
	for i, s := range c.sites {
		if c.mute[i] || c.gone[i] {
			continue
		}
		if _, _, err := s.tick(); err != nil {
			c.t.Fatal(err)
		}
	}
	for i, from := range c.sites {
		if c.mute[i] || c.gone[i] {
			continue
		}
		for j, to := range c.sites {
			if i == j || c.gone[j] || c.mute[j] || c.heard[[2]int{i, j}] == from.told {
				continue
			}
			c.heard[[2]int{i, j}] = from.told
			c.sent[i]++
			m, err := decode(bufio.NewReader(bytes.NewReader(from.telling)))
			if err != nil {
				c.t.Fatal(err)
			}
			to.mu.Lock()
			to.heard(from.self, m.State, time.Now())
			to.mu.Unlock()
		}
	}
}

// leave takes a member away, without a word.
func (c *circle) leave(i int) {
	c.gone[i] = true
	for j, s := range c.sites {
		s.mu.Lock()
		if s.members[c.sites[i].self] != nil {
			s.gone(c.sites[i].self, time.Now())
		}
		s.mu.Unlock()
		delete(c.heard, [2]int{i, j})
		delete(c.heard, [2]int{j, i})
	}
}

// contact changes whether a member is in contact with the outside.
func (c *circle) contact(i int, is bool) {
	s := c.sites[i]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.contact, s.contactAt = is, time.Now()
	s.look(time.Now())
}

// join joins an errand at each of the members; missing is what each lacks.
func (c *circle) join(release manifest.CID, missing uint64, members ...int) party {
	p := party{c: c, errands: map[int]*Errand{}, bytes: map[int]uint64{}, missing: &missing}
	for _, i := range members {
		p.join(release, i)
	}
	return p
}

// party is the members that joined one errand.
type party struct {
	c       *circle
	errands map[int]*Errand
	bytes   map[int]uint64
	missing *uint64
}

func (p party) join(release manifest.CID, i int) {
	p.errands[i] = p.c.sites[i].Join(release)
	p.errands[i].Came(0, *p.missing)
}

// holders returns who has the turn.
func (p party) holders() []int {
	var with []int
	for i := range p.c.sites {
		if e := p.errands[i]; e != nil && !p.c.gone[i] && !p.c.mute[i] {
			if t, _ := e.Turn(); t.Outside {
				with = append(with, i)
			}
		}
	}
	return with
}

// fetch lets time pass in which bytes come from outside to those given, while
// they have the turn, and from there to everybody.
func (p party) fetch(d time.Duration, able ...int) {
	for range int(d / (100 * time.Millisecond)) {
		came := false
		for _, i := range p.holders() {
			if slices.Contains(able, i) {
				p.bytes[i] += 1000
				came = true
			}
		}
		if came {
			*p.missing -= 100
			for i, e := range p.errands {
				e.Came(p.bytes[i], *p.missing)
			}
		}
		p.c.pass(100 * time.Millisecond)
	}
}

// gateways returns which members are gateways.
func (c *circle) gateways() []int {
	var are []int
	for i, s := range c.sites {
		if is, _ := s.Gateway(); is && !c.gone[i] {
			are = append(are, i)
		}
	}
	return are
}

// connectGateways gives the gateways contact, and returns them and the others. No
// member may have left.
func (c *circle) connectGateways() (gateways, others []int) {
	gateways = c.gateways()
	for _, i := range gateways {
		c.contact(i, true)
	}
	others = slices.DeleteFunc(first(len(c.sites)), func(i int) bool { return slices.Contains(gateways, i) })
	return gateways, others
}

// works returns what a member has heard of the errands of another one.
func (c *circle) works(at, of int) []Work {
	s := c.sites[at]
	s.mu.Lock()
	defer s.mu.Unlock()
	var works []Work
	for release, t := range s.members[c.sites[of].self].stints {
		works = append(works, Work{Release: release, Outside: t.outside, Bytes: t.bytes})
	}
	return works
}
