package node

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/transfer"
)

// While a download in full waits for the operator, peers are asked again whether
// they make a delta: after so long, and soon after a new peer has come.
const (
	askAgainAfter = 10 * time.Minute
	heldLook      = 15 * time.Second
)

// errAskAgain says that a delta may be had now, where none was before.
var errAskAgain = errors.New("peers are to be asked for a delta again")

// inFull gets in chunks what is still missing:
//
//	from peers inside of the site, whatever it costs nobody
//	over links that let it pass: those that are not metered, and metered ones
//	    where the rest is small and no earlier version is here, or the operator
//	    allowed it
//	while it waits for that, now and then the way of deltas is tried again:
//	    errAskAgain
func (n *Node) inFull(ctx context.Context, net *online, w want, job transfer.Job) error {
	var missing uint64
	for _, f := range job.Files {
		missing += n.missingOf(f)
	}
	n.paths.inFull(w.Manifest, missing)
	tell := job.Progress
	job.Progress = func(p transfer.Progress) {
		n.paths.inFull(w.Manifest, p.WantedBytes-p.StoredBytes)
		tell(p)
	}
	inner, stop := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { n.watchHeld(inner, net, w, stop) })
	err := net.transfer.Fetch(inner, job)
	stop(nil)
	watch.Wait()
	return err
}

// watchHeld ends a download that waits for the operator, with errAskAgain, once
// deltas are worth another question.
func (n *Node) watchHeld(ctx context.Context, net *online, w want, stop context.CancelCauseFunc) {
	known := make(map[peer.ID]bool)
	for _, id := range net.host.Network().Peers() {
		known[id] = true
	}
	ticker := time.NewTicker(heldLook)
	defer ticker.Stop()
	for began := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if !n.paths.held(w.Manifest, net.linksInUse()) {
			continue
		}
		fresh := time.Since(began) > askAgainAfter
		for _, id := range net.host.Network().Peers() {
			fresh = fresh || !known[id]
		}
		if fresh {
			stop(errAskAgain)
			return
		}
	}
}
