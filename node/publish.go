package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/dunlin-mesh/dunlin/chunker"
	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
	"github.com/dunlin-mesh/dunlin/store"
	"github.com/dunlin-mesh/dunlin/trust"
)

const defaultVariant = "default"

// publish makes a release of a file or folder:
//
//	stage     copy it into the store (or refer to it in place)
//	lay out   find the tensors, and so the chunks
//	hash      every chunk and every file
//	sign      the manifest's CID, with the next sequence
//	adopt     the staged files become the release's: from here on it is held
//	announce  the publisher's new head, to whoever is connected
//
// A crash before sign leaves nothing; after it, the same call again goes on
// where it stopped, since the same content under the same version is no
// contradiction. After adopt nothing needs to be called again: the next start
// finishes it (finishPublishing).
func (n *Node) publish(ctx context.Context, req api.PublishRequest, out *api.Writer) (api.PublishResult, error) {
	start := time.Now()
	wanted, err := variantsOf(req)
	if err != nil {
		return api.PublishResult{}, err
	}
	if err := errors.Join(req.Model.Validate(), manifest.ValidateVersion(req.Version)); err != nil {
		return api.PublishResult{}, err
	}
	n.publishing.Lock()
	defer n.publishing.Unlock()
	signer, err := n.keys.open(req.Model.Publisher())
	if err != nil {
		return api.PublishResult{}, err
	}
	defer signer.Close()
	// Nothing is signed that this very node would not believe; and a crash may
	// have come between making the keys and pinning them.
	if _, err := n.trust.Pin(signer.Root()); err != nil {
		return api.PublishResult{}, err
	}
	if err := n.settle(ctx, signer); err != nil {
		return api.PublishResult{}, err
	}

	var parts []*part
	defer func() {
		for _, p := range parts {
			if err := p.staged.Discard(); err != nil {
				n.log.Warn("staged files are left behind", slog.Any("error", err))
			}
		}
	}()
	m := &manifest.Manifest{Schema: manifest.Schema, Model: req.Model, Licence: req.Licence, Urgent: req.Urgent}
	var names []string // of the parts, in the store
	for _, v := range wanted {
		p, err := n.stage(ctx, v.Path, req.InPlace, chunker.Options{DType: req.DType}, out)
		if err != nil {
			if len(wanted) > 1 {
				err = fmt.Errorf("variant %s: %w", v.Name, err)
			}
			return api.PublishResult{}, err
		}
		parts, names = append(parts, p), append(names, v.Name)
		m.Variants = append(m.Variants, manifest.Variant{
			Name: v.Name, Format: p.format(), Precision: cmp.Or(v.Precision, p.precision()), Quantization: v.Quantization,
			Requires: v.Requires, Files: p.files,
		})
	}
	if req.Golden != "" {
		golden, err := n.stage(ctx, req.Golden, false, chunker.Options{}, out)
		if err != nil {
			return api.PublishResult{}, fmt.Errorf("golden set: %w", err)
		}
		parts, names = append(parts, golden), append(names, store.Golden)
		m.Golden = golden.files
	}
	block, err := manifest.Encode(m)
	if err != nil {
		return api.PublishResult{}, err
	}
	signed, err := signer.Sign(trust.SignRequest{
		Model: req.Model, Version: req.Version, Manifest: block.CID, Size: uint64(len(block.Data)),
		MinSafeSequence: req.MinSafeSequence, Seat: n.id.String(), Now: time.Now(),
	})
	if err != nil {
		return api.PublishResult{}, err
	}
	release := store.Release{Model: signed.Model, Version: signed.Version, Sequence: signed.Sequence, Manifest: signed.Manifest}
	for i, p := range parts {
		blocks := append(slices.Clone(p.blocks), block)
		if err := n.store.Adopt(ctx, p.staged, release, names[i], blocks); err != nil {
			return api.PublishResult{}, err
		}
	}
	if err := n.store.Pin(release.Manifest, store.PinPublished); err != nil {
		return api.PublishResult{}, err
	}
	if err := n.announce(ctx, signer, parts); err != nil {
		return api.PublishResult{}, err
	}
	if err := n.unpinOldPublished(req.Model); err != nil {
		return api.PublishResult{}, err
	}
	result := api.PublishResult{Model: req.Model, Version: req.Version, Sequence: signed.Sequence, Manifest: block.CID}
	for i, v := range m.Variants {
		result.Files += len(v.Files)
		result.Bytes += v.Size()
		result.Chunks += parts[i].chunks
		result.Tensors += parts[i].tensors
		result.Variants = append(result.Variants, v.Name)
	}
	result.Seconds = time.Since(start).Seconds()
	return result, nil
}

// announce makes the registry believe what the signer signed and, if the node
// is running, tells peers what is held here and the mesh what is new.
func (n *Node) announce(ctx context.Context, signer *trust.Signer, parts []*part) error {
	fp := signer.Fingerprint()
	if update, ok := signer.Update(n.trust.Have(fp)); ok {
		if _, err := n.trust.Apply(fp, update); err != nil {
			return err
		}
	}
	n.heard()
	net, err := n.running()
	if err != nil {
		return nil // whoever this node meets once it is up learns of it then
	}
	for _, p := range parts {
		for _, f := range p.files {
			net.transfer.Changed(f.ID())
		}
	}
	if err := net.gossip.Announce(ctx, signer.Head()); err != nil {
		n.log.Warn("release is not announced, peers learn of it when they next ask", slog.Any("error", err))
	}
	return nil
}

// unpinOldPublished lets go of releases that the publisher's metadata no longer
// lists.
func (n *Node) unpinOldPublished(model manifest.Model) error {
	releases, err := n.store.Releases()
	if err != nil {
		return err
	}
	listed := n.trust.Releases(model)
	for _, r := range releases {
		gone := !slices.ContainsFunc(listed, func(l trust.Release) bool { return l.Manifest == r.Manifest })
		if r.Model == model && gone && slices.Contains(r.Pins, store.PinPublished) {
			err = errors.Join(err, n.store.Unpin(r.Manifest, store.PinPublished))
		}
	}
	return err
}
