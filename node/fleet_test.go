package node

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/metrics"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/fleet"
	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
)

// fleetSays waits until a node knows of another one what ok wants.
func fleetSays(t *testing.T, at, of *bystander, ok func(api.FleetNode) bool) api.FleetNode {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		nodes := must[[]api.FleetNode](t, at, "fleet", nil)
		i := slices.IndexFunc(nodes, func(n api.FleetNode) bool { return n.PeerID == of.node.id.String() })
		if i >= 0 && ok(nodes[i]) {
			return nodes[i]
		}
		if time.Now().After(deadline) {
			t.Fatalf("known of the other node: %+v", nodes)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// What a node holds, wants and runs is known at all others, and still is when
// they are gone and the node is no longer on the network.
func TestFleetShowsOthers(t *testing.T) {
	t.Parallel()
	p, root := publisher(t)
	f := neighbour(t, p, root, &fakeEngine{}, at("clinic"))
	must[api.Rules](t, f, "follow", api.RulesRequest{Models: []string{vad}})
	publish(t, p, vad, "1.0", "vad.onnx", onnx("good", 1))
	arrive(t, f, vad, "1.0")

	row := fleetSays(t, p, f, func(n api.FleetNode) bool { return len(n.Models) == 1 && n.Models[0].Serving })
	want := api.FleetModel{
		Model: vad, Held: "1.0", HeldSequence: 1, Wanted: "1.0", Active: "1.0", Serving: true, State: api.StateCurrent, Progress: 1,
	}
	if row.Models[0] != want || row.Site != "clinic" || row.Software != Version || !row.Connected || row.Self || row.AgeSeconds > 60 {
		t.Errorf("the publisher knows %+v", row)
	}
	publish(t, p, vad, "2.0", "vad.onnx", onnx("bad", 2))
	row = fleetSays(t, p, f, func(n api.FleetNode) bool { return n.Models[0].State == api.StateFailed })
	if m := row.Models[0]; m.Active != "1.0" || !m.Serving || m.Wanted != "2.0" || !strings.Contains(m.Reason, "it is bad") {
		t.Errorf("the publisher knows %+v", m)
	}

	own := fleetSays(t, f, f, func(n api.FleetNode) bool { return n.Self })
	if own.Connected || own.AgeSeconds != 0 || own.DiskFreeBytes == 0 || own.Links.OutsideIn == 0 || own.Links.InsideIn != 0 {
		t.Errorf("the node says of itself %+v", own)
	}
	fleetSays(t, f, p, func(n api.FleetNode) bool { return len(n.Models) == 1 && n.Models[0].Held == "2.0" })

	f.stop()
	n, err := Open(Options{Dir: f.node.dir})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	off := &bystander{Client: api.Local(n.Handler()), node: n}
	if row := fleetSays(t, off, p, func(api.FleetNode) bool { return true }); row.Connected || row.Site != "press" {
		t.Errorf("without the network: %+v", row)
	}
}

// If there are more models than a record holds, those that need attention are
// in it.
func TestFleetModels(t *testing.T) {
	var models []api.Model
	for i := range 100 {
		models = append(models, api.Model{Model: manifest.Model(fmt.Sprintf("acme/m%02d", i)), State: api.StateCurrent, Role: []string{"carry"}})
	}
	models[70].State, models[70].Reason = api.StateFailed, "no\nmemory at /home/n/store"
	models[90].State, models[90].HeldBytes, models[90].TotalBytes = api.StateFetching, 1, 3
	models[5].Role = nil // known, and nothing to us
	out, omitted := fleetModels(models, "/home/n")
	if len(out) != fleet.MaxModels || omitted != 99-fleet.MaxModels {
		t.Errorf("%d models, %d omitted", len(out), omitted)
	}
	find := func(m manifest.Model) fleet.Model {
		i := slices.IndexFunc(out, func(have fleet.Model) bool { return have.Model == m })
		if i < 0 {
			t.Fatalf("%s is left out", m)
		}
		return out[i]
	}
	if m := find("acme/m70"); m.Reason != "no memory at store" {
		t.Errorf("%+v", m)
	}
	if m := find("acme/m90"); m.Progress != 333 {
		t.Errorf("%+v", m)
	}
	if !slices.IsSortedFunc(out, func(a, b fleet.Model) int { return strings.Compare(string(a.Model), string(b.Model)) }) {
		t.Error("models are not in order")
	}
}

// Bytes stay where they were counted when a member leaves.
func TestLinkUse(t *testing.T) {
	var u use
	all := map[peer.ID]metrics.Stats{"near": {TotalIn: 10, TotalOut: 1}, "far": {TotalIn: 300, TotalOut: 30}}
	want := fleet.Links{InsideIn: 10, InsideOut: 1, OutsideIn: 300, OutsideOut: 30}
	for _, near := range []map[peer.ID]bool{{"near": true, "far": false}, {"far": false}, {}} {
		if got := u.links(all, near); got != want {
			t.Errorf("%v: %+v, want %+v", near, got, want)
		}
	}
}
