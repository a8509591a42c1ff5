package node

import (
	"cmp"
	"context"
	"log/slog"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"

	"github.com/dunlin-mesh/dunlin/fleet"
	"github.com/dunlin-mesh/dunlin/node/api"
)

const (
	// tellPause is the least time between two looks at what there is to tell,
	// tellInterval the longest: some changes come without a sign.
	tellPause    = 500 * time.Millisecond
	tellInterval = 30 * time.Second
)

// fleetTable is what is known of all nodes, read from disk when it is first
// asked for.
func (n *Node) fleetTable() (*fleet.Table, error) {
	n.fleetOnce.Do(func() {
		n.fleetRows, n.fleetErr = fleet.OpenTable(fleet.TableConfig{
			Dir: filepath.Join(n.dir, fleetName), Self: n.id, Mesh: n.config.Mesh, Logger: n.log,
		})
	})
	return n.fleetRows, n.fleetErr
}

// newFleet makes what tells the mesh of this node, and this node of the mesh.
func (n *Node) newFleet(net *online, key crypto.PrivKey) (*fleet.Fleet, error) {
	table, err := n.fleetTable()
	if err != nil {
		return nil, err
	}
	return fleet.New(fleet.Config{
		Host: net.gate, Key: key, Table: table, Link: fleet.Link(n.config.Preset), Site: net.site, Logger: n.log,
	})
}

// tellFleet publishes how this node is, whenever that has changed, until ctx
// ends.
func (n *Node) tellFleet(ctx context.Context, net *online) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		_, changed := n.board.get("")
		if record, err := n.fleetRecord(net); err != nil {
			n.log.Warn("the mesh is not told how this node is", slog.Any("error", err))
		} else if _, err := net.fleet.Publish(record); err != nil {
			n.log.Warn("the mesh is not told how this node is", slog.Any("error", err))
		}
		timer.Reset(tellPause)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		timer.Reset(tellInterval - tellPause)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case <-timer.C:
		}
	}
}

// fleetRecord says how this node is; net is nil for one that does not run.
func (n *Node) fleetRecord(net *online) (fleet.Record, error) {
	r := fleet.Record{
		Site: fleet.Printable(n.config.Site, 64), Software: Version, Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	models, err := n.models()
	if err != nil {
		return r, err
	}
	r.Models, r.Omitted = fleetModels(models, n.dir)
	r.Class = n.class()
	for i := range r.Models {
		n.sayOutcome(&r.Models[i])
	}
	usage, err := n.store.Usage()
	if err != nil {
		return r, err
	}
	r.DiskFree = usage.FreeBytes
	if net != nil {
		r.Links = net.use.links(net.counter.GetBandwidthByPeer(), net.membersSeen())
	}
	return r, nil
}

// fleetModels picks what a record says of models: those that are followed,
// carried or held; if they are too many, those first that are not as they
// should be. Reasons do not tell where the node's home is.
func fleetModels(models []api.Model, home string) (out []fleet.Model, omitted uint64) {
	models = slices.DeleteFunc(slices.Clone(models), func(m api.Model) bool { return len(m.Role) == 0 && len(m.Held) == 0 })
	if len(models) > fleet.MaxModels {
		slices.SortStableFunc(models, func(a, b api.Model) int { return urgency(b) - urgency(a) })
		omitted = uint64(len(models) - fleet.MaxModels)
		models = models[:fleet.MaxModels]
		slices.SortFunc(models, func(a, b api.Model) int { return cmp.Compare(a.Model, b.Model) })
	}
	for _, m := range models {
		out = append(out, fleetModel(m, home))
	}
	return out, omitted
}

// urgency is how much people want to know of a model.
func urgency(m api.Model) int {
	switch {
	case m.State == api.StateFailed:
		return 3
	case m.State != api.StateCurrent && m.State != api.StateKnown:
		return 2
	case len(m.Role) > 0:
		return 1
	}
	return 0
}

func fleetModel(m api.Model, home string) fleet.Model {
	reason := strings.ReplaceAll(m.Reason, home+string(filepath.Separator), "")
	out := fleet.Model{Model: m.Model, State: string(m.State), Serving: m.Serving, Reason: fleet.Printable(reason, fleet.MaxReasonBytes)}
	for _, r := range m.Held {
		if r.Complete && r.Sequence >= out.HeldSequence {
			out.Held, out.HeldSequence = r.Version, r.Sequence
		}
	}
	if m.Latest != nil && (slices.Contains(m.Role, "follow") || slices.Contains(m.Role, "carry")) {
		out.Wanted = m.Latest.Version
	}
	if m.Active != nil {
		out.Active = m.Active.Version
	}
	if m.TotalBytes > 0 {
		out.Progress = uint16(1000 * (float64(m.HeldBytes) / float64(m.TotalBytes)))
	}
	return out
}

// fleetNodes lists every node of the mesh that this node knows of, itself
// included, with or without a network.
func (n *Node) fleetNodes(context.Context, none, *api.Writer) ([]api.FleetNode, error) {
	table, err := n.fleetTable()
	if err != nil {
		return nil, err
	}
	net := n.net.Load()
	self, err := n.fleetRecord(net)
	if err != nil {
		return nil, err
	}
	self.Peer, self.Time = n.id, time.Now().Unix()
	rows := table.Rows()
	i := slices.IndexFunc(rows, func(r fleet.Row) bool { return r.Peer == n.id })
	if i < 0 {
		rows, i = append(rows, fleet.Row{}), len(rows)
	}
	self.Epoch, self.Sequence = rows[i].Epoch, rows[i].Sequence
	rows[i] = fleet.Row{Record: self}
	out := make([]api.FleetNode, len(rows))
	for i, r := range rows {
		out[i] = describeRow(r)
		out[i].Self = r.Peer == n.id
		out[i].Connected = net != nil && !out[i].Self && net.host.Network().Connectedness(r.Peer) == network.Connected
	}
	return out, nil
}

func describeRow(r fleet.Row) api.FleetNode {
	out := api.FleetNode{
		PeerID: r.Peer.String(), Site: r.Site, Software: r.Software, Platform: r.Platform, Epoch: r.Epoch, Sequence: r.Sequence,
		AgeSeconds: r.Age.Seconds(), Clock: time.Unix(r.Time, 0).UTC(), Models: []api.FleetModel{}, Omitted: r.Omitted,
		Links:         api.FleetLinks{OutsideIn: r.Links.OutsideIn, OutsideOut: r.Links.OutsideOut, InsideIn: r.Links.InsideIn, InsideOut: r.Links.InsideOut},
		DiskFreeBytes: r.DiskFree,
	}
	if r.Via != "" {
		out.Via = r.Via.String()
	}
	for _, m := range r.Models {
		out.Models = append(out.Models, api.FleetModel{
			Model: m.Model, Held: m.Held, HeldSequence: m.HeldSequence, Wanted: m.Wanted, Active: m.Active,
			Serving: m.Serving, State: api.State(m.State), Progress: float64(m.Progress) / 1000, Reason: m.Reason,
		})
	}
	return out
}
