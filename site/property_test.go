package site

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever happened to members, once nothing more does: within a bounded time the
// release gets on, if any member that joined can reach the outside; at rest there
// are never more turns than places; and as many gateways as there should be.
func TestWhateverHappens(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		rapid.SyncTest(r, func(r *rapid.T) {
			n := rapid.IntRange(2, 8).Draw(r, "members")
			c := newCircle(r, n, true)
			missing := rapid.SampledFrom([]uint64{little, much}).Draw(r, "missing")
			p := c.join(releaseA, missing)
			joined := func() []int {
				return slices.DeleteFunc(first(n), func(i int) bool { return p.errands[i] == nil || c.mute[i] || c.gone[i] })
			}
			able := func() []int {
				return slices.DeleteFunc(joined(), func(i int) bool { return !c.sites[i].contact })
			}
			for range rapid.IntRange(1, 30).Draw(r, "events") {
				i := rapid.IntRange(0, n-1).Draw(r, "who")
				switch rapid.SampledFrom([]string{"join", "join", "leave", "contact", "hang", "die", "fetch", "wait"}).Draw(r, "what") {
				case "join":
					if p.errands[i] == nil && !c.mute[i] && !c.gone[i] {
						p.join(releaseA, i)
					}
				case "leave":
					if e := p.errands[i]; e != nil && !c.mute[i] {
						e.Leave()
						delete(p.errands, i)
						p.bytes[i] = 0
					}
				case "contact":
					if !c.mute[i] && !c.gone[i] {
						c.contact(i, rapid.Bool().Draw(r, "is"))
					}
				case "hang":
					if len(c.mute) < n/2 {
						c.mute[i] = true
					}
				case "die":
					if !c.gone[i] && len(c.gone) < n/2 {
						c.leave(i)
					}
				case "fetch":
					p.fetch(time.Duration(rapid.IntRange(1, 20).Draw(r, "seconds"))*time.Second, able()...)
				case "wait":
					c.pass(time.Duration(rapid.IntRange(10, 3000).Draw(r, "milliseconds")) * time.Millisecond)
				}
			}
			if len(able()) == 0 {
				return
			}
			// Everybody in line may have to be waited for, and once more.
			deadline := time.Duration(2*n+patience) * testLease
			came := func() (sum uint64) {
				for _, b := range p.bytes {
					sum += b
				}
				return sum
			}
			before := came()
			for start := time.Now(); came() == before; p.fetch(time.Second, able()...) {
				if time.Since(start) > deadline {
					r.Fatalf("nothing came in %s, although %v of %v could fetch; %v have the turn", deadline, able(), joined(), p.holders())
				}
			}
			p.fetch(2*testLease, able()...)
			if got := p.holders(); len(got) > maxPlaces {
				r.Fatalf("%v have the turn", got)
			}
			before = came()
			p.fetch(2*testLease, able()...)
			if came() == before {
				r.Fatal("what had begun does not go on")
			}
		})
	})
}
