package node

import (
	"slices"
	"time"

	"github.com/dunlin-mesh/dunlin/links"
	"github.com/dunlin-mesh/dunlin/node/api"
)

// assumedRate is that of a class of link of which nothing else is known.
func assumedRate(class links.Class) links.Rate {
	switch class {
	case links.LAN:
		return 100e6
	case links.WAN:
		return 10e6
	case links.Narrow:
		return 64e3
	}
	return 128e3
}

// route chooses the link that the bytes would come over: the cheapest one to a
// peer that has something; else one to a peer at hand; else the default link,
// to say what would be. Then it adds rate, times, budgets, and what is waited
// for.
func (p *planner) route() {
	p.use.Full = int64(min(p.out.FullBytes, 1<<62))
	link, measured, local := p.link()
	if local {
		p.out.Link, p.out.Class = string(links.LAN), string(links.LAN)
		p.rate(0, measured, links.LAN)
		now := p.node.paths.set.Now()
		p.out.Begins, p.out.Ends = now, now.Add(seconds(p.out.MostSeconds))
		return
	}
	c := link.Config()
	p.out.Link, p.out.Class, p.out.Metered = c.Name, string(c.Class), c.Metered
	rate := p.rate(c.Down, measured, c.Class)
	described := describeLink(link.Status())
	for _, b := range []api.Budget{described.Day, described.Month} {
		if b.LimitBytes > 0 {
			p.out.Budgets = append(p.out.Budgets, b)
		}
	}
	timed := true
	for _, reason := range link.Reasons(p.use) {
		p.out.Waits = append(p.out.Waits, reason.Error())
		timed = timed && reason.Why != links.WhyFull && reason.Why != links.WhyPriority
	}
	switch {
	case p.net == nil:
		p.out.Waits = append(p.out.Waits, ErrNotRunning.Error())
	case len(p.found) == 0 && len(p.out.Waits) == 0:
		p.out.Waits = append(p.out.Waits, "waits for a peer that has it")
	default:
		if begin, end, ok := link.Forecast(int64(min(p.out.MostBytes, 1<<60)), rate); ok && timed {
			p.out.Begins, p.out.Ends = begin, end
		}
	}
}

// link returns the link, what was measured on it in bytes a second, and whether
// the site's own network is meant instead.
func (p *planner) link() (best *links.Link, measured float64, local bool) {
	rank := func(l *links.Link) int { return slices.Index(links.Classes(), l.Config().Class) }
	for _, s := range p.found {
		if s.Peer == "" {
			continue
		}
		m, bounded := s.Path.Meter.(meter)
		switch {
		case !bounded && !local:
			best, measured, local = nil, s.BytesPerSecond, true
		case !bounded:
			measured = max(measured, s.BytesPerSecond)
		case !local && best == m.link:
			measured = max(measured, s.BytesPerSecond)
		case !local && (best == nil || rank(m.link) < rank(best)):
			best, measured = m.link, s.BytesPerSecond
		}
	}
	if best != nil || local {
		return best, measured, local
	}
	if p.net != nil {
		for _, l := range p.net.linksInUse() {
			if best == nil || rank(l) < rank(best) {
				best = l
			}
		}
		if best != nil {
			return best, p.measured(best), false
		}
	}
	all := p.node.paths.set.All()
	return all[len(all)-1], 0, false
}

// measured returns the fastest that a peer on the link has been.
func (p *planner) measured(l *links.Link) (rate float64) {
	speeds := make(map[string]float64)
	for _, s := range p.net.transfer.Stats().Peers {
		speeds[string(s.Peer)] = s.BytesPerSecond
	}
	for _, c := range p.net.host.Network().Conns() {
		if m, ok := p.net.transfer.Path(c).Meter.(meter); ok && m.link == l {
			rate = max(rate, speeds[string(c.RemotePeer())])
		}
	}
	return rate
}

// rate says how fast it would come, and how long that takes.
func (p *planner) rate(configured links.Rate, bytesPerSecond float64, class links.Class) links.Rate {
	rate, source := configured, "configured"
	if rate == 0 {
		rate, source = links.Rate(8*bytesPerSecond), "measured"
	}
	if rate == 0 {
		rate, source = assumedRate(class), "assumed"
	}
	p.out.BitsPerSecond, p.out.Rate = int64(rate), source
	take := func(bytes uint64) float64 {
		return float64(links.WireBytes(int64(min(bytes, 1<<60)))) * 8 / float64(rate)
	}
	p.out.LeastSeconds, p.out.MostSeconds = take(p.out.LeastBytes), take(p.out.MostBytes)
	return rate
}

// seconds returns a time, at most 250 years.
func seconds(s float64) time.Duration {
	return time.Duration(min(s, 250*365*24*3600) * float64(time.Second))
}
