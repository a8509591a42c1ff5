package links

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// interfacesAgain is how often the machine is asked which interface has which
// address.
const interfacesAgain = 10 * time.Second

// Options are what a [Set] needs.
type Options struct {
	// Path is the file of the ledger, whose folder exists; required. Nobody else
	// writes it.
	Path string
	// Links are the operator's.
	Links []Config
	// Class is that of links without one, the default link among them; required.
	Class Class
	// Interfaces, if set, says which interface has which address of this
	// machine; default: what the system says.
	Interfaces func() map[netip.Addr]string
	// Now, if set, is the clock of schedules and budgets; default: [time.Now].
	Now func() time.Time
	// Logger hears of a ledger that cannot be written; default: discarded.
	Logger *slog.Logger
}

// Set is all links of a node. Safe for concurrent use.
type Set struct {
	class      Class
	ledger     *ledger
	log        *slog.Logger
	now        func() time.Time
	interfaces func() map[netip.Addr]string

	mu    sync.Mutex // owns the rest
	links []*Link    // as configured; the default link last
	names map[netip.Addr]string
	asked time.Time // when names was right
}

// Open reads the ledger. The error wraps [ErrConfig] or [ErrLedger]. The caller
// closes the set.
func Open(o Options) (*Set, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Interfaces == nil {
		o.Interfaces = systemInterfaces
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Set{class: o.Class, log: o.Logger, now: o.Now, interfaces: o.Interfaces}
	if !slices.Contains(Classes(), o.Class) {
		return nil, fmt.Errorf("%w: class %.20q of the rest is none of %v", ErrConfig, o.Class, Classes())
	}
	var err error
	if s.ledger, err = openLedger(o.Path, o.Now); err != nil {
		return nil, err
	}
	return s, s.Replace(o.Links)
}

// Close makes the ledger exact. Nothing may be taken afterwards.
func (s *Set) Close() error { return s.ledger.flush() }

// Replace sets other links. One that keeps its name keeps what was counted, and
// what is owed of its rate. The error wraps [ErrConfig].
func (s *Set) Replace(list []Config) error {
	if err := Validate(list); err != nil {
		return err
	}
	list = slices.Clone(list)
	if !slices.ContainsFunc(list, func(c Config) bool { return c.Name == Default }) {
		list = append(list, Config{Name: Default})
	}
	slices.SortStableFunc(list, func(a, b Config) int { return isDefault(a) - isDefault(b) })
	s.mu.Lock()
	defer s.mu.Unlock()
	next := make([]*Link, len(list))
	for i, c := range list {
		if c.Class == "" {
			c.Class = s.class
		}
		have := slices.IndexFunc(s.links, func(l *Link) bool { return l.Name() == c.Name })
		if have >= 0 {
			next[i] = s.links[have]
		} else {
			next[i] = &Link{set: s, active: make(map[string]*activity)}
		}
		next[i].configure(c)
	}
	s.links = next
	return nil
}

func isDefault(c Config) int {
	if c.Name == Default {
		return 1
	}
	return 0
}

// Now returns the time by the clock of schedules and budgets.
func (s *Set) Now() time.Time { return s.now() }

// All returns the links in the order of the configuration, the default one last.
func (s *Set) All() []*Link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.links)
}

// Find returns the link of a connection between two addresses; an invalid one
// matches nothing. Of links that match, that with the longest prefix, and then
// the first. named says that it is not merely the one for the rest.
func (s *Set) Find(local, remote netip.Addr) (link *Link, named bool) {
	local, remote = local.Unmap().WithZone(""), remote.Unmap().WithZone("")
	s.mu.Lock()
	defer s.mu.Unlock()
	best := -1
	for _, l := range s.links {
		c := l.Config()
		if c.Name == Default {
			break
		}
		bits := 0
		if len(c.Match) > 0 {
			bits = -1
			for _, p := range c.Match {
				if p.Contains(remote) {
					bits = max(bits, p.Bits())
				}
			}
		}
		if bits > best && (len(c.Local) == 0 || s.isLocal(c.Local, local)) {
			best, link = bits, l
		}
	}
	if link != nil {
		return link, true
	}
	return s.links[len(s.links)-1], false
}

// isLocal says whether names has the address, or its interface; the caller holds
// mu.
func (s *Set) isLocal(names []string, a netip.Addr) bool {
	if !a.IsValid() {
		return false
	}
	if slices.Contains(names, a.String()) {
		return true
	}
	if now := time.Now(); s.names == nil || now.Sub(s.asked) > interfacesAgain {
		s.names, s.asked = s.interfaces(), now
	}
	name, ok := s.names[a]
	return ok && slices.Contains(names, name)
}

// Done notes that a model is not being fetched any more, so that others need not
// wait for it.
func (s *Set) Done(model string) {
	for _, l := range s.All() {
		l.done(model)
	}
}

// systemInterfaces asks the system; what it does not say is not known.
func systemInterfaces() map[netip.Addr]string {
	names := make(map[netip.Addr]string)
	list, err := net.Interfaces()
	if err != nil {
		return names
	}
	for _, i := range list {
		addrs, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok {
				if ip, ok := netip.AddrFromSlice(n.IP); ok {
					names[ip.Unmap()] = i.Name
				}
			}
		}
	}
	return names
}
