package node

import (
	"cmp"
	"context"
	"slices"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/site"
	"github.com/dunlin-mesh/dunlin/store"
	"github.com/dunlin-mesh/dunlin/transfer"
)

// status tells everything at a glance.
func (n *Node) status(ctx context.Context, _ none, out *api.Writer) (api.Status, error) {
	s := api.Status{
		PeerID: n.id.String(), Addresses: []string{}, Version: Version,
		Mesh: n.config.Mesh, Site: n.config.Site, Preset: string(n.config.Preset), Runtime: n.engine.Info(),
	}
	if net := n.net.Load(); net != nil {
		s.Running, s.Since, s.Addresses = true, net.since, addresses(net.host)
		s.Peers = len(net.host.Network().Peers())
		s.Serving = net.describeServing()
		s.Members = len(net.site.Members())
		s.Gateway, _ = net.site.Gateway()
		totals, transfers := net.counter.GetBandwidthTotals(), net.transfer.Stats()
		s.Network = api.Network{
			BytesIn: totals.TotalIn, BytesOut: totals.TotalOut,
			TransferIn: int64(transfers.BytesReceived), TransferOut: int64(transfers.BytesSent),
			DeltaIn: int64(transfers.Deltas.BytesReceived), DeltaOut: int64(transfers.Deltas.BytesSent),
			Duplicates: int64(transfers.DuplicateBytes),
			ControlIn:  max(totals.TotalIn-int64(transfers.BytesReceived), 0),
			ControlOut: max(totals.TotalOut-int64(transfers.BytesSent), 0),
		}
	}
	usage, err := n.store.Usage()
	if err != nil {
		return s, err
	}
	s.Disk = api.Disk{UsedBytes: usage.FileBytes + usage.BlockBytes + usage.IndexBytes, QuotaBytes: usage.QuotaBytes, FreeBytes: usage.FreeBytes}
	if s.Publishers, err = n.publishers(ctx, none{}, out); err != nil {
		return s, err
	}
	s.Models, err = n.models()
	return s, err
}

// models describes every model that is held, followed, carried or known.
func (n *Node) models() ([]api.Model, error) {
	releases, err := n.store.Releases()
	if err != nil {
		return nil, err
	}
	names := append(n.trust.Models(), n.rules.followed()...)
	held := make(map[manifest.Model][]store.ReleaseState)
	for _, r := range releases {
		held[r.Model] = append(held[r.Model], r)
		names = append(names, r.Model)
	}
	slices.Sort(names)
	out := []api.Model{}
	for _, m := range slices.Compact(names) {
		out = append(out, n.describeModel(m, held[m]))
	}
	return out, nil
}

func (n *Node) describeModel(m manifest.Model, held []store.ReleaseState) api.Model {
	out := api.Model{Model: m, Role: []string{}, State: api.StateUnknown}
	if n.rules.follows(m) {
		out.Role = append(out.Role, "follow")
	}
	if n.rules.carries(m) {
		out.Role = append(out.Role, "carry")
	}
	for _, r := range held {
		out.Held = append(out.Held, describeRelease(r))
		if slices.Contains(r.Pins, store.PinPublished) && !slices.Contains(out.Role, "publish") {
			out.Role = append(out.Role, "publish")
		}
	}
	latest, known := n.trust.Latest(m)
	if known {
		out.Routes = n.routes.of(m, latest.Version)
		out.State, out.Stale = api.StateWaiting, latest.Stale
		out.Latest = &api.Release{Version: latest.Version, Sequence: latest.Sequence, Manifest: latest.Manifest}
		for _, r := range held {
			if r.Manifest == latest.Manifest && len(r.Variants) > 0 {
				out.Latest.Complete = whole(r)
				out.Variant = n.variantOf(r)
				for _, v := range r.Variants {
					out.HeldBytes, out.TotalBytes = out.HeldBytes+v.HeldBytes, out.TotalBytes+v.Bytes
				}
				switch {
				case out.Latest.Complete && n.installed(r):
					out.State = api.StateCurrent
				case out.Latest.Complete:
					out.State = api.StateVerifying
				}
			}
		}
	}
	if e, _ := n.board.get(m); known && e.version == latest.Version {
		out.State, out.Reason = e.state, e.reason
		if e.state == api.StateFetching && e.total > 0 {
			out.HeldBytes, out.TotalBytes = e.done, e.total
		}
	} else if known && len(out.Role) == 0 && out.State == api.StateWaiting {
		out.State = api.StateKnown
	}
	if known {
		out.Priority = n.paths.priority(m)
		n.explainWait(&out)
	}
	if status, ok := n.activation(m); ok {
		if why := quarantined(status, latest.Manifest); known && why != nil && out.State != api.StateFetching {
			out.State, out.Reason = api.StateFailed, why.Error()
		}
		out.Active = describeRecord(status.Recorded)
		if status.Previous != nil && !n.wayBackRevoked(status.Previous) {
			out.Previous = describeRecord(status.Previous)
		}
		out.Serving, out.Worker = status.Active != nil, status.Worker
		out.Soak, out.Outage = status.Soak, status.Outage
	}
	return out
}

// installed says whether the release, which is here whole, went through every
// gate that its model's rules ask for: without a rule, none.
func (n *Node) installed(r store.ReleaseState) bool {
	if !n.rules.follows(r.Model) {
		return !n.rules.carries(r.Model) || slices.ContainsFunc(r.Pins, func(p store.Pin) bool { return p != store.PinPrevious })
	}
	if !slices.Contains(r.Pins, store.PinFollowed) {
		return false
	}
	if status, ok := n.activation(r.Model); ok && status.Recorded != nil && status.Recorded.Release == r.Manifest.String() {
		if status.Active != nil || n.net.Load() == nil { // else it is being brought back, or cannot be
			return true
		}
	}
	return !n.canRun(r.Manifest)
}

func describeRelease(r store.ReleaseState) api.Release {
	return api.Release{Version: r.Version, Sequence: r.Sequence, Manifest: r.Manifest, Complete: whole(r)}
}

func describeRecord(r *modelrt.Release) *api.Release {
	if r == nil {
		return nil
	}
	c, err := manifest.ParseCID(r.Release)
	if err != nil {
		return nil // the activator keeps only what candidate wrote
	}
	return &api.Release{Version: r.Version, Sequence: r.Sequence, Manifest: c, Complete: true}
}

// peers lists who is connected and who is remembered.
func (n *Node) peers(context.Context, none, *api.Writer) ([]api.Peer, error) {
	byID := make(map[peer.ID]*api.Peer)
	for _, info := range n.book.all() {
		p := &api.Peer{ID: info.ID.String(), LastSeen: n.book.lastSeen(info.ID), Addresses: []string{}}
		for _, a := range info.Addrs {
			p.Addresses = append(p.Addresses, a.String())
		}
		byID[info.ID] = p
	}
	if net := n.net.Load(); net != nil {
		stats := make(map[peer.ID]transfer.PeerStats)
		for _, s := range net.transfer.Stats().Peers {
			stats[s.Peer] = s
		}
		members := make(map[peer.ID]site.Member)
		for _, m := range net.site.Members() {
			members[m.ID] = m
		}
		for _, c := range net.host.Network().Conns() {
			id := c.RemotePeer()
			m, member := members[id]
			p := &api.Peer{
				ID: id.String(), Connected: true, Addresses: []string{c.RemoteMultiaddr().String()},
				Direction: direction(c.Stat().Direction), LastSeen: n.book.lastSeen(id),
				RTTMillis: float64(stats[id].RTT.Microseconds()) / 1000, Parole: stats[id].State == transfer.PeerParole,
				Local: net.site.Local(c), Member: member, Gateway: m.Gateway, Site: net.site.LabelOf(id),
			}
			total := net.counter.GetBandwidthForPeer(id)
			p.BytesIn, p.BytesOut = total.TotalIn, total.TotalOut
			byID[id] = p
		}
	}
	out := []api.Peer{}
	for _, p := range byID {
		out = append(out, *p)
	}
	slices.SortFunc(out, func(a, b api.Peer) int {
		if a.Connected != b.Connected {
			if a.Connected {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.ID, b.ID)
	})
	return out, nil
}

func direction(d network.Direction) string {
	if d == network.DirInbound {
		return "inbound"
	}
	return "outbound"
}
