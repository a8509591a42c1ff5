package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/dunlin-mesh/dunlin/node/api"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/testnet"
)

const (
	model    = "acme/vad"
	slowLink = 400_000 // bytes a second, b's way to the publisher
	middle   = 600_000 // bytes of the first update's delta, 1.5 MB
)

// arrival is a release at a node.
type arrival struct{ node, version string }

type demo struct {
	fleet    *testnet.Fleet
	versions []version
	rootFile string

	publisher, a, b, carrier, far *testnet.Node
	slow                          *testnet.Link // b's only way to the publisher

	mu      sync.Mutex // owns took
	took    map[arrival]time.Duration
	outputs map[string]map[string][]float64 // by version, by node
}

// runners are the nodes that run the model.
func (d *demo) runners() []*testnet.Node { return []*testnet.Node{d.publisher, d.a, d.b, d.far} }

// build makes five homes, starts five processes and tells each whom to believe
// and what to keep.
func (d *demo) build(ctx context.Context) (err error) {
	step("mesh: a publisher and four nodes, five processes")
	d.outputs = make(map[string]map[string][]float64)
	if d.publisher, err = d.start(ctx, "publisher", ""); err != nil {
		return err
	}
	if _, err := d.publisher.Run(ctx, "publisher", "create", "acme"); err != nil {
		return err
	}
	if _, err := d.publisher.Run(ctx, "publisher", "export", "acme", "--out", d.rootFile); err != nil {
		return err
	}
	if _, err := d.publisher.Run(ctx, "follow", model); err != nil {
		return err
	}
	for _, next := range []struct {
		node **testnet.Node
		name string
		via  **testnet.Node
		rule string
	}{
		{&d.a, "a", &d.publisher, "follow"},
		{&d.b, "b", &d.publisher, "follow"},
		{&d.carrier, "carrier", &d.publisher, "carry"},
		{&d.far, "far", &d.carrier, "follow"},
	} {
		via, err := (*next.via).Status(ctx)
		if err != nil {
			return err
		}
		at := via.Addresses[0]
		if next.node == &d.b {
			if d.slow, err = testnet.NewLink(ctx, at, slowLink); err != nil {
				return err
			}
			at = d.slow.Address()
		}
		if *next.node, err = d.start(ctx, next.name, at); err != nil {
			return err
		}
		if _, err := (*next.node).Run(ctx, "trust", "add", d.rootFile); err != nil {
			return err
		}
		if _, err := (*next.node).Run(ctx, next.rule, model); err != nil {
			return err
		}
	}
	return nil
}

// start makes and starts a node that knows where one other is, or none.
func (d *demo) start(ctx context.Context, name, bootstrap string) (*testnet.Node, error) {
	args := []string{"--preset", "lan", "--site", name}
	if bootstrap != "" {
		args = append(args, "--bootstrap", bootstrap)
	}
	n, err := d.fleet.Add(ctx, name, args...)
	if err != nil {
		return nil, err
	}
	if err := n.Start(ctx); err != nil {
		return nil, err
	}
	fmt.Printf("   %-9s pid %d\n", name, n.PID())
	return n, nil
}

func (d *demo) publish(ctx context.Context, v version) error {
	var r api.PublishResult
	if err := d.publisher.JSON(ctx, &r, "publish", v.path, "--model", model, "--version", v.name, "--licence", "MIT"); err != nil {
		return err
	}
	fmt.Printf("   published %s@%s: sequence %d, %d tensors in %d chunks, manifest %s\n", model, r.Version, r.Sequence, r.Tensors, r.Chunks, r.Manifest)
	return nil
}

// wait waits until the nodes have the version, side by side.
func (d *demo) wait(ctx context.Context, v version, since time.Time, nodes ...*testnet.Node) error {
	errs := make([]error, len(nodes))
	var group sync.WaitGroup
	for i, n := range nodes {
		group.Go(func() {
			_, errs[i] = n.Run(ctx, "wait", model+"@"+v.name, "--timeout", "3m")
			d.mu.Lock()
			defer d.mu.Unlock()
			d.took[arrival{n.Name, v.name}] = time.Since(since)
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

func (d *demo) first(ctx context.Context) error {
	step("first release: everyone gets it, far by way of carrier")
	since := time.Now()
	if err := d.publish(ctx, d.versions[0]); err != nil {
		return err
	}
	if err := d.wait(ctx, d.versions[0], since, d.fleet.Nodes()...); err != nil {
		return err
	}
	return d.infer(ctx, d.versions[0])
}

// second updates everyone; b, whose link is slow, is killed in the middle of
// the update, and started again when the others are done.
func (d *demo) second(ctx context.Context) error {
	step("first update: b is killed (kill -9) while it fetches over its slow link")
	v, since, arrived := d.versions[1], time.Now(), int64(0)
	if err := d.publish(ctx, v); err != nil {
		return err
	}
	err := d.b.Until(ctx, "it is in the middle of the update", func(s api.Status) bool {
		m, ok := find(s)
		arrived = s.Network.DeltaIn
		return ok && m.Latest != nil && m.Latest.Version == v.name && arrived > middle
	})
	if err != nil {
		return err
	}
	if err := d.b.Kill(); err != nil {
		return err
	}
	var s api.Status
	if err := d.b.JSON(ctx, &s, "status"); err != nil {
		return err
	}
	m, _ := find(s)
	fmt.Printf("   b is dead; %d bytes of the delta had arrived, and %s is active\n", arrived, m.Active.Version)
	if m.HeldBytes >= m.TotalBytes || m.Active.Version != d.versions[0].name {
		return errors.New("b was not killed in the middle of the update")
	}
	if err := d.wait(ctx, v, since, d.publisher, d.a, d.carrier, d.far); err != nil {
		return err
	}
	fmt.Println("   everyone else has the update; b is started again")
	since = time.Now()
	before := d.slow.Bytes()
	if err := d.b.Start(ctx); err != nil {
		return err
	}
	if err := d.wait(ctx, v, since, d.b); err != nil {
		return err
	}
	if err := d.b.JSON(ctx, &s, "status"); err != nil {
		return err
	}
	m, _ = find(s)
	length := int64(0)
	for _, r := range m.Routes {
		length += int64(r.DeltaBytes)
	}
	missing, passed := length-arrived, d.slow.Bytes()-before
	fmt.Printf("   b lacked %d of %d bytes of the delta, %d passed its link: what had arrived was not asked for again\n", missing, length, passed)
	// What arrived in the last second may not have been on disk.
	if passed > missing+missing/20+slowLink+64<<10 {
		return errors.New("b fetched again what it had")
	}
	return d.infer(ctx, v)
}

// find returns what a status says about the model.
func find(s api.Status) (api.Model, bool) {
	i := slices.IndexFunc(s.Models, func(m api.Model) bool { return m.Model == model })
	if i < 0 {
		return api.Model{}, false
	}
	return s.Models[i], true
}

func (d *demo) third(ctx context.Context) error {
	step("second update: everyone")
	since := time.Now()
	if err := d.publish(ctx, d.versions[2]); err != nil {
		return err
	}
	if err := d.wait(ctx, d.versions[2], since, d.fleet.Nodes()...); err != nil {
		return err
	}
	return d.infer(ctx, d.versions[2])
}

// infer runs the active release on every node that runs the model, on the same
// sound, and compares what comes out.
func (d *demo) infer(ctx context.Context, v version) error {
	d.outputs[v.name] = make(map[string][]float64)
	sound, err := chirp()
	if err != nil {
		return err
	}
	for _, n := range d.runners() {
		var r struct {
			Version string                    `json:"version"`
			Outputs map[string]modelrt.Tensor `json:"outputs"`
		}
		if err := n.JSON(ctx, &r, "infer", model, "--input", "input="+sound, "--input", "state="+state(), "--input", "sr=16000"); err != nil {
			return err
		}
		if r.Version != v.name {
			return fmt.Errorf("%s answers with %s, want %s", n.Name, r.Version, v.name)
		}
		values, err := floats(r.Outputs["output"])
		if err != nil {
			return fmt.Errorf("%s: %w", n.Name, err)
		}
		d.outputs[v.name][n.Name] = values
		first := d.outputs[v.name][d.runners()[0].Name]
		if len(values) != 1 || math.IsNaN(values[0]) || math.Abs(values[0]-first[0]) > 1e-6 {
			return fmt.Errorf("%s answers %v, publisher %v", n.Name, values, first)
		}
	}
	fmt.Printf("   %s says on %d nodes: speech with probability %.6f\n", v.name, len(d.runners()), d.outputs[v.name]["a"][0])
	return nil
}

// check holds what the demo claims against what the nodes say.
func (d *demo) check(ctx context.Context) error {
	step("checks")
	answers := make(map[float64]bool)
	for _, v := range d.versions {
		answers[d.outputs[v.name]["far"][0]] = true
	}
	if len(answers) != len(d.versions) {
		return fmt.Errorf("%d versions gave only %d different answers: the same release ran twice", len(d.versions), len(answers))
	}
	publisher, err := d.publisher.Status(ctx)
	if err != nil {
		return err
	}
	var peers []api.Peer
	if err := d.far.JSON(ctx, &peers, "peers"); err != nil {
		return err
	}
	for _, p := range peers {
		if p.ID == publisher.PeerID {
			return errors.New("far has met the publisher")
		}
	}
	carrier, err := d.carrier.Status(ctx)
	if err != nil {
		return err
	}
	if m := carrier.Models[0]; m.Active != nil || m.Serving {
		return errors.New("carrier runs the model that it should only carry")
	}
	for _, n := range d.fleet.Nodes() {
		for _, command := range [][]string{{"verify"}, {"fsck"}} {
			if _, err := n.Run(ctx, command...); err != nil {
				return err
			}
		}
	}
	fmt.Println("   far never met the publisher; carrier runs nothing; every file and every chunk verified on five nodes")
	return nil
}

// table tells what each node sent and received.
func (d *demo) table(ctx context.Context) error {
	var full int64
	for _, v := range d.versions {
		info, err := os.Stat(v.path)
		if err != nil {
			return err
		}
		full += info.Size()
	}
	step("bytes since each process started (b's counters begin at its restart), full copies of %d releases are %d bytes", len(d.versions), full)
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "node\treceived\tsent\tof full\t")
	for _, v := range d.versions {
		fmt.Fprintf(w, "%s after\t", v.name)
	}
	fmt.Fprintln(w, "verified\tactive\t")
	for _, n := range d.fleet.Nodes() {
		s, err := n.Status(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%.2f\t", n.Name, s.Network.BytesIn, s.Network.BytesOut, float64(s.Network.BytesIn)/float64(full))
		for _, v := range d.versions {
			fmt.Fprintf(w, "%.2f s\t", d.took[arrival{n.Name, v.name}].Seconds())
		}
		active := "- (carries)"
		if m := s.Models[0]; m.Active != nil {
			active = m.Active.Version
		}
		if n != d.carrier && active != d.versions[len(d.versions)-1].name {
			return fmt.Errorf("%s ends with %s active", n.Name, active)
		}
		fmt.Fprintf(w, "yes\t%s\t\n", active)
	}
	return w.Flush()
}

// chirp is 32 ms of a rising tone at 16 kHz, as JSON of shape [1,512].
func chirp() (string, error) {
	samples := make([]float64, 512)
	for i := range samples {
		t := float64(i) / 16000
		samples[i] = math.Round(1e4*0.6*math.Sin(2*math.Pi*(200+4000*t)*t)) / 1e4
	}
	text, err := json.Marshal([][]float64{samples})
	return string(text), err
}

// state is the model's empty memory, zeros of shape [2,1,128].
func state() string {
	return `{"dtype":"f32","shape":[2,1,128],"data":` + zeros(256) + `}`
}

func zeros(n int) string {
	text, err := json.Marshal(make([]int, n))
	if err != nil {
		return "[]" // integers always encode
	}
	return string(text)
}

// floats reads the elements of a tensor through its JSON form.
func floats(t modelrt.Tensor) ([]float64, error) {
	text, err := t.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var r struct{ Data []float64 }
	return r.Data, json.Unmarshal(text, &r)
}
