package trust

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/dunlin-mesh/dunlin/manifest"
	"pgregory.net/rapid"
)

// Whatever the order in which nodes meet, lose messages, hear old ones again
// and restart: none of them ever goes backwards, and once each has met one
// that knows, all of them believe the same.
func TestNodesConverge(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const nodes = 3
		s, err := CreatePublisher(filepath.Join(t.TempDir(), "key"), "acme", epoch)
		if err != nil {
			rt.Fatal(err)
		}
		defer s.Close()
		fp := s.Fingerprint()
		var dirs [nodes]string
		var regs [nodes]*Registry
		open := func(i int) {
			regs[i], err = Open(Config{Dir: dirs[i]})
			if err != nil {
				rt.Fatal(err)
			}
		}
		for i := range nodes {
			dirs[i] = t.TempDir()
			open(i)
			defer func() { _ = regs[i].Close() }()
			if i == 0 {
				must(regs[i].PinFingerprint("", fp))
			} else {
				must(regs[i].Pin(s.Root()))
			}
		}
		var past []Update // all that was ever sent
		deliver := func(to int, u Update) {
			before, sequences := regs[to].Have(fp), newest(regs[to])
			past = append(past, u)
			if _, err := regs[to].Apply(fp, u); err != nil && !errors.Is(err, ErrRollback) && !errors.Is(err, ErrPartial) && !errors.Is(err, ErrMismatch) {
				rt.Fatal(err)
			}
			after := regs[to].Have(fp)
			if after.Root < before.Root || after.Timestamp < before.Timestamp || after.Snapshot < before.Snapshot || after.Targets < before.Targets {
				rt.Fatalf("node %d went from %+v to %+v", to, before, after)
			}
			for model, sequence := range newest(regs[to]) {
				if sequence < sequences[model] {
					rt.Fatalf("node %d went from sequence %d to %d of %s", to, sequences[model], sequence, model)
				}
				delete(sequences, model)
			}
			if len(sequences) != 0 {
				rt.Fatalf("node %d lost %v", to, sequences)
			}
		}
		node := rapid.IntRange(0, nodes-1)
		rt.Repeat(map[string]func(*rapid.T){
			"sign": func(rt *rapid.T) {
				model := manifest.Model(rapid.SampledFrom([]string{"acme/a", "acme/b", "acme/c"}).Draw(rt, "model"))
				version := fmt.Sprint(rapid.IntRange(1, 5).Draw(rt, "version"))
				if _, err := s.Sign(SignRequest{Model: model, Version: version, Manifest: block(string(model) + version), Size: 1, Now: epoch}); err != nil {
					rt.Fatal(err)
				}
			},
			"refresh": func(rt *rapid.T) {
				if err := s.Refresh(epoch); err != nil {
					rt.Fatal(err)
				}
			},
			"meet the publisher": func(rt *rapid.T) {
				to := node.Draw(rt, "to")
				if u, ok := s.Update(regs[to].Have(fp)); ok {
					deliver(to, u)
				}
			},
			"meet": func(rt *rapid.T) {
				to, from := node.Draw(rt, "to"), node.Draw(rt, "from")
				if u, ok, _ := regs[from].Update(fp, regs[to].Have(fp)); ok {
					before := regs[to].Have(fp)
					deliver(to, u)
					if got, want := regs[to].Have(fp), regs[from].Have(fp); got != want {
						rt.Fatalf("node %d had %+v, met %d with %+v, has %+v", to, before, from, want, got)
					}
				}
			},
			"hear something old": func(rt *rapid.T) {
				if len(past) > 0 {
					deliver(node.Draw(rt, "to"), rapid.SampledFrom(past).Draw(rt, "update"))
				}
			},
			"restart": func(rt *rapid.T) {
				i := node.Draw(rt, "node")
				before := regs[i].Heads()
				_ = regs[i].Close()
				open(i)
				if fmt.Sprint(before) != fmt.Sprint(regs[i].Heads()) {
					rt.Fatalf("node %d forgot over a restart", i)
				}
			},
		})
		for i := range nodes { // a chain of contacts
			if i == 0 {
				if u, ok := s.Update(regs[0].Have(fp)); ok {
					deliver(0, u)
				}
			} else if u, ok, _ := regs[i-1].Update(fp, regs[i].Have(fp)); ok {
				deliver(i, u)
			}
			if h := regs[i].Heads(); len(h) != 1 || !bytes.Equal(h[0].Timestamp, s.Head().Timestamp) {
				rt.Fatalf("node %d did not catch up", i)
			}
			for _, model := range regs[i].Models() {
				if fmt.Sprint(regs[i].Releases(model)) != fmt.Sprint(regs[0].Releases(model)) {
					rt.Fatalf("nodes 0 and %d disagree about %s", i, model)
				}
			}
		}
	})
}

func newest(r *Registry) map[manifest.Model]uint64 {
	sequences := make(map[manifest.Model]uint64)
	for _, model := range r.Models() {
		latest, _ := r.Latest(model)
		sequences[model] = latest.Sequence
	}
	return sequences
}

// Readers, heads and updates at the same time; run with -race.
func TestConcurrentUse(t *testing.T) {
	s := newSigner(t, "acme")
	r := newRegistry(t, s.Root())
	var work sync.WaitGroup
	for worker := range 4 {
		work.Go(func() {
			for i := range 8 {
				switch worker {
				case 0:
					must(s.Sign(SignRequest{Model: "acme/vad", Version: fmt.Sprint(i), Manifest: block(fmt.Sprint(i)), Size: 1, Now: epoch}))
				case 1:
					_, err := r.CheckHead(s.Head())
					must(0, err)
				case 2:
					if u, ok := s.Update(r.Have(s.Fingerprint())); ok {
						must(r.Apply(s.Fingerprint(), u))
					}
				case 3:
					r.Latest("acme/vad")
					r.Releases("acme/vad")
					r.Publishers()
					r.Heads()
					_, _, err := r.Update(s.Fingerprint(), Have{})
					must(0, err)
				}
			}
		})
	}
	work.Wait()
	catchUp(t, r, s.Fingerprint(), s.Update)
	if latest, _ := r.Latest("acme/vad"); latest.Version != "7" {
		t.Errorf("latest %+v", latest)
	}
}
