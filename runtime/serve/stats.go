package serve

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// maxStats bounds for how many versions of models figures are kept; the one
// that ran longest ago makes room.
const maxStats = 1024

// Total counts something and adds up how long it took.
type Total struct {
	Count uint64
	Time  time.Duration
}

func (t *Total) add(d time.Duration) {
	t.Count++
	t.Time += d
}

// Buckets returns the upper bounds, in seconds, of the classes in
// [ModelStats.Latency]; a last class has no bound.
func Buckets() []float64 {
	return []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
}

// ModelStats is what requests for one version of a model took since the server
// began.
type ModelStats struct {
	Name, Version string
	// Success and Fail are whole requests, from the moment they are read until
	// the answer is made.
	Success, Fail Total
	// Queue is the time that requests waited, Input what it took to read tensors
	// out of them, Infer what the models ran, Output what it took to make answers;
	// of successful requests.
	Queue, Input, Infer, Output Total
	// Latency counts successful requests by how long they took, see [Buckets].
	Latency []uint64
	// Last is when a request began last.
	Last time.Time
}

// statistics keeps figures of requests. Safe for concurrent use.
type statistics struct {
	mu *sync.Mutex
	of map[[2]string]*ModelStats // name, version
}

func newStatistics() statistics {
	return statistics{mu: new(sync.Mutex), of: make(map[[2]string]*ModelStats)}
}

// phases is where the time of one request went.
type phases struct {
	began                       time.Time
	queue, input, infer, output time.Duration
}

// add counts one request for a version of a model, whose answer has just been
// made, or which has just failed.
func (s statistics) add(name, version string, p phases, ok bool) {
	took := time.Since(p.began)
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.find(name, version)
	m.Last = p.began
	if !ok {
		m.Fail.add(took)
		return
	}
	m.Success.add(took)
	m.Queue.add(p.queue)
	m.Input.add(p.input)
	m.Infer.add(p.infer)
	m.Output.add(p.output)
	class, _ := slices.BinarySearch(Buckets(), took.Seconds())
	m.Latency[class]++
}

// find returns the figures to add to. The caller holds mu.
func (s statistics) find(name, version string) *ModelStats {
	key := [2]string{name, version}
	if m, ok := s.of[key]; ok {
		return m
	}
	if len(s.of) >= maxStats {
		oldest := key
		for k, m := range s.of {
			if oldest == key || m.Last.Before(s.of[oldest].Last) {
				oldest = k
			}
		}
		delete(s.of, oldest)
	}
	m := &ModelStats{Name: name, Version: version, Latency: make([]uint64, len(Buckets())+1)}
	s.of[key] = m
	return m
}

// get returns a copy of the figures, of one model or of all where name is
// empty, of one version or of all where version is, sorted.
func (s statistics) get(name, version string) []ModelStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []ModelStats{}
	for _, m := range s.of {
		if (name == "" || m.Name == name) && (version == "" || m.Version == version) {
			c := *m
			c.Latency = slices.Clone(m.Latency)
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b ModelStats) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
	return out
}

// Stats returns the figures of every version of every model that was asked for,
// sorted by name and version.
func (s *Server) Stats() []ModelStats { return s.stats.get("", "") }
