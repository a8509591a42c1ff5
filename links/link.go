package links

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// leastUseful is how much must be left of a budget for a session to begin:
	// opening one costs a few hundred bytes.
	leastUseful = 4 << 10
	// holdsFor is how long after its last bytes a model counts as being fetched
	// over a link, and those of lower priority wait.
	holdsFor = 15 * time.Second
	// holdsFrom is how much must come to count as being fetched: more than what
	// says that a peer has nothing.
	holdsFrom = 1 << 10

	packetBytes = 1400 // of a stream, in one packet
	headerBytes = 100  // of a packet, and its share of acknowledgements
)

// Direction is the way of bytes on a link.
type Direction bool

// The directions.
const (
	Down Direction = false
	Up   Direction = true
)

// Use is what a session is for.
type Use struct {
	// Model is what is fetched; empty for blocks, and for what is served.
	Model string
	// Version is the one that is fetched, for people.
	Version string
	// Priority orders models: while one of a higher priority is being fetched
	// over a link, the others wait. 0 by default.
	Priority int
	// Full is how many bytes would come in full, in chunks; 0 for a delta.
	Full int64
	// NoDelta says why they come in full although an earlier version is here;
	// empty if none is.
	NoDelta string
	// Allowed says that the operator allows it.
	Allowed bool
	// Pushed says that the peer sends without being asked for each part, so that
	// only an end of the session makes it wait.
	Pushed bool
}

// Link is one of the operator's links. Safe for concurrent use.
type Link struct {
	set      *Set
	up, down bucket
	total    [2]atomic.Int64 // bytes on the wire since Open: down, up
	control  [2]atomic.Int64 // of those, control traffic

	mu     sync.Mutex // owns the rest
	config Config
	active map[string]*activity // by model
}

// activity is a model that is being fetched over a link.
type activity struct {
	priority int
	bytes    int       // since at, up to holdsFrom
	at       time.Time // when enough had come the last time
}

// Name returns the link's name.
func (l *Link) Name() string { return l.Config().Name }

// Config returns the link's configuration, with a class.
func (l *Link) Config() Config {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.config
}

func (l *Link) configure(c Config) {
	l.mu.Lock()
	l.config = c
	l.mu.Unlock()
	l.up.set(c.Up)
	l.down.set(c.Down)
}

// WireBytes estimates what n bytes on a stream, read or written at once, are on
// the wire, both ways together: per packet of 1400 bytes 14 of Ethernet, 20 to
// 40 of IP, 32 of TCP or as much of QUIC, up to 30 of encryption and
// multiplexing shared with others, and half an acknowledgement.
func WireBytes(n int64) int64 { return n + (n+packetBytes-1)/packetBytes*headerBytes }

// streamBytes is the inverse of WireBytes, rounded down.
func streamBytes(wire int64) int64 {
	whole := wire / (packetBytes + headerBytes)
	return whole*packetBytes + max(wire%(packetBytes+headerBytes)-headerBytes, 0)
}

// Admit says whether a session for the use may begin now and for how many bytes
// on the stream, or why not, in a *[Closed].
func (l *Link) Admit(u Use) (left int64, err error) {
	now := l.set.now()
	closed, left := l.hard(now)
	if closed == nil {
		closed = l.soft(u, now)
	}
	if closed != nil {
		return 0, closed
	}
	return streamBytes(left), nil
}

// Reasons returns everything that keeps the use waiting now; none if nothing
// does.
func (l *Link) Reasons(u Use) (reasons []*Closed) {
	now := l.set.now()
	c := l.Config()
	if open, until := c.Schedule.Open(now); !open {
		reasons = append(reasons, &Closed{Why: WhySchedule, Link: c.Name, Until: until, now: now})
	}
	if closed, _ := l.budget(c, now); closed != nil {
		reasons = append(reasons, closed)
	}
	if closed := c.full(u); closed != nil {
		reasons = append(reasons, closed)
	}
	if closed := l.yields(u); closed != nil {
		reasons = append(reasons, closed)
	}
	return reasons
}

// hard returns what closes the link for everybody, and what is left on the wire.
func (l *Link) hard(now time.Time) (*Closed, int64) {
	c := l.Config()
	if open, until := c.Schedule.Open(now); !open {
		return &Closed{Why: WhySchedule, Link: c.Name, Until: until, now: now}, 0
	}
	return l.budget(c, now)
}

// budget returns whether the day's or the month's is spent, and what is left.
func (l *Link) budget(c Config, now time.Time) (*Closed, int64) {
	day, month := l.set.ledger.spent(c.Name, now)
	left := int64(1) << 62
	if c.Month > 0 {
		if left = min(left, int64(c.Month)-month); left < leastUseful {
			next := nextMonth(now)
			return &Closed{Why: WhyMonth, Link: c.Name, Until: next, For: next.Format(monthForm), now: now}, 0
		}
	}
	if c.Day > 0 {
		if left = min(left, int64(c.Day)-day); left < leastUseful {
			next := nextDay(now)
			return &Closed{Why: WhyDay, Link: c.Name, Until: next, For: next.Format(dayForm), now: now}, 0
		}
	}
	return nil, left
}

// soft returns what makes this use wait although the link is open.
func (l *Link) soft(u Use, now time.Time) *Closed {
	if u.Model == "" {
		return nil
	}
	if closed := l.Config().full(u); closed != nil {
		return closed
	}
	if closed := l.yields(u); closed != nil {
		closed.Until, closed.now = now.Add(time.Second), now
		return closed
	}
	return nil
}

// full returns why a download in full waits for the operator.
func (c Config) full(u Use) *Closed {
	if u.Full == 0 || u.Allowed {
		return nil
	}
	noDelta := ""
	if c.Metered {
		noDelta = u.NoDelta
	}
	limit := c.Unasked()
	if noDelta == "" && (limit == 0 || u.Full <= int64(limit)) {
		return nil
	}
	return &Closed{Why: WhyFull, Link: c.Name, For: modelVersion(u), bytes: u.Full, limit: limit, noDelta: noDelta, metered: c.Metered}
}

// yields returns the model of higher priority that is being fetched.
func (l *Link) yields(u Use) *Closed {
	l.mu.Lock()
	defer l.mu.Unlock()
	var first *Closed
	best := u.Priority
	for model, a := range l.active {
		if a.priority > best && model != u.Model && time.Since(a.at) <= holdsFor {
			best = a.priority
			first = &Closed{Why: WhyPriority, Link: l.config.Name, For: model}
		}
	}
	return first
}

// note remembers that n bytes of a model came.
func (l *Link) note(u Use, n int) {
	if u.Model == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.active[u.Model]
	if a == nil {
		a = &activity{}
		l.active[u.Model] = a
	}
	a.priority = u.Priority
	if a.bytes += n; a.bytes >= holdsFrom {
		a.bytes, a.at = 0, time.Now()
	}
}

// done forgets that a model was being fetched.
func (l *Link) done(model string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.active, model)
}

func nextDay(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d+1, 0, 0, 0, 0, t.Location())
}

func nextMonth(t time.Time) time.Time {
	y, m, _ := t.Date()
	return time.Date(y, m+1, 1, 0, 0, 0, 0, t.Location())
}

func modelVersion(u Use) string {
	if u.Version == "" {
		return u.Model
	}
	return u.Model + "@" + u.Version
}
