package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/dunlin-mesh/dunlin/trust"
)

// askedPeers bounds how many peers are asked what a publisher signed last.
const askedPeers = 8

// settle makes sure, before anything is signed, that signer knows what its
// publisher signed last: what this node has learnt and, if the keys were brought
// here from another node (a new machine, a restored backup), what the mesh
// knows. Otherwise a version or sequence would be used twice. The error wraps
// trust.ErrMoved if nobody can be asked.
func (n *Node) settle(ctx context.Context, signer *trust.Signer) error {
	if seat := signer.Seat(); seat != "" && seat != n.id.String() {
		if err := n.reconcileAll(ctx); err != nil {
			return fmt.Errorf("publisher %s: %w (%s): so that no version is used twice, connect this node to one that has pinned %s, and publish again: %w", signer.Name(), trust.ErrMoved, seat, signer.Name(), err)
		}
		n.log.Info("keys of a publisher have moved here", slog.String("publisher", signer.Name()), slog.String("from", seat))
	}
	fp := signer.Fingerprint()
	update, newer, err := n.trust.Update(fp, signer.Have())
	if err != nil {
		return err
	}
	if newer {
		_, err = signer.Adopt(update)
		if errors.Is(err, trust.ErrPartial) {
			if update, newer, err = n.trust.Update(fp, trust.Have{Root: signer.Have().Root}); newer && err == nil {
				_, err = signer.Adopt(update)
			}
		}
		if err != nil {
			return err
		}
	}
	return signer.Settle(n.id.String())
}

// reconcileAll reconciles with the peers that are connected. It fails if that
// works with none of them.
func (n *Node) reconcileAll(ctx context.Context) error {
	net, err := n.running()
	if err != nil {
		return err
	}
	var failures []error
	peers := net.host.Network().Peers()
	for _, p := range peers[:min(len(peers), askedPeers)] {
		if failure := net.gossip.Sync(ctx, p); failure != nil {
			failures = append(failures, failure)
		}
	}
	switch {
	case len(peers) == 0:
		return errors.New("no peer is connected")
	case len(failures) == min(len(peers), askedPeers):
		return errors.Join(failures...)
	}
	return nil
}
