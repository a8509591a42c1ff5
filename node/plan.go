package node

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/dunlin-mesh/dunlin/links"
	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
	"github.com/dunlin-mesh/dunlin/store"
	"github.com/dunlin-mesh/dunlin/transfer"
	"github.com/dunlin-mesh/dunlin/trust"
)

const (
	// planPatience is how long peers may take to answer a plan's questions; a
	// satellite there and back, thrice, and some to spare.
	planPatience = 5 * time.Second
	// planFiles is how many files, the largest ones, peers are asked about.
	planFiles = 4
)

// plan says what it would cost to bring a release here, over which link, when,
// and what it waits for. Peers at hand are asked (see [transfer.Transfer.Survey]),
// and the manifest comes if it is not here; nothing else.
func (n *Node) plan(ctx context.Context, req api.ModelRequest, _ *api.Writer) (api.Plan, error) {
	r, err := n.knownRelease(req)
	if err != nil {
		return api.Plan{}, err
	}
	p := &planner{node: n, net: n.net.Load(), use: links.Use{
		Model: string(req.Model), Version: r.Version, Priority: n.paths.priority(req.Model), Allowed: n.paths.allowed.has(r.Manifest),
	}}
	p.out = api.Plan{
		Model: req.Model, Version: r.Version, Sequence: r.Sequence, Manifest: r.Manifest,
		Files: []api.PlanFile{}, Budgets: []api.Budget{}, Waits: []string{},
	}
	m := p.manifest(ctx, r)
	if p.out.Known = m != nil; p.out.Known {
		if err := p.files(ctx, r, m); err != nil {
			return api.Plan{}, err
		}
		p.out.Here = len(p.out.Files) == 0 && p.out.MostBytes == 0
	} else {
		p.add(256, manifest.MaxBlockBytes)
	}
	if !p.out.Here {
		p.route()
	}
	return p.out, nil
}

// planner makes one plan.
type planner struct {
	node  *Node
	net   *online // nil if the node does not run
	use   links.Use
	found []transfer.Surveyed
	known map[manifest.Digest]bool // chunks of files here; nil before it is needed
	out   api.Plan
}

func (p *planner) add(least, most uint64) {
	p.out.LeastBytes += least
	p.out.MostBytes += most
}

// manifest returns the release's manifest, from a peer if need be; nil if none
// has it.
func (p *planner) manifest(ctx context.Context, r trust.Release) *manifest.Manifest {
	m, err := p.node.manifest(r.Manifest)
	if err != nil && p.net != nil {
		ctx, cancel := context.WithTimeout(ctx, planPatience)
		defer cancel()
		if p.net.transfer.Blocks(ctx, nil, []manifest.CID{r.Manifest}) == nil {
			m, err = p.node.manifest(r.Manifest)
		}
	}
	if err != nil {
		return nil
	}
	return m
}

// files adds up what is missing.
func (p *planner) files(ctx context.Context, r trust.Release, m *manifest.Manifest) error {
	w := want{Release: store.Release{Model: r.Model, Version: r.Version, Sequence: r.Sequence, Manifest: r.Manifest}, purpose: toCarry}
	if p.node.rules.follows(r.Model) || !p.node.rules.carries(r.Model) {
		w.purpose = toRun
	}
	variants, err := p.node.needed(m, w)
	if err != nil {
		return err
	}
	var files []manifest.File
	for _, v := range variants {
		files = append(files, v.Files...)
	}
	files = append(files, m.Golden...)
	if m.Report != nil {
		files = append(files, *m.Report)
	}
	held, err := p.node.heldOf(r.Model)
	if err != nil {
		return err
	}
	slices.SortStableFunc(files, func(a, b manifest.File) int { return cmp.Compare(b.Size, a.Size) })
	asked := 0
	ctx, cancel := context.WithTimeout(ctx, 2*planPatience)
	defer cancel()
	for _, f := range files {
		if slices.ContainsFunc(held, func(h heldFile) bool { return h.file.ID() == f.ID() }) {
			continue // Begin takes it from there
		}
		p.trees(f)
		missing := p.node.missingOf(f)
		if missing == f.Size {
			missing -= min(missing, p.sharedBytes(f, held))
		}
		if missing > 0 {
			p.file(ctx, r, f, missing, basesFor(f, variantOf(m, f), held), asked < planFiles)
			asked++
		}
	}
	return nil
}

// trees adds layout and digests of a file where they are not here: 32 bytes for
// each chunk of 64 KiB to 1 MiB, and a layout of unknown length.
func (p *planner) trees(f manifest.File) {
	if _, err := p.node.store.Block(f.Digests); err != nil {
		p.add(32*(f.Size>>20), 32*(f.Size>>16)+1<<10)
	}
	if _, err := p.node.store.Block(f.Layout); err != nil {
		p.add(64, f.Size>>11+4<<10)
	}
}

// file adds one file, and asks peers about it.
func (p *planner) file(ctx context.Context, r trust.Release, f manifest.File, missing uint64, bases []heldFile, ask bool) {
	out := api.PlanFile{Path: f.Path, Bytes: f.Size, MissingBytes: missing, By: api.ByChunks}
	if missing < deltaLeast {
		bases = nil
	}
	var found []transfer.Surveyed
	if p.net != nil && ask {
		found, _ = p.net.transfer.Survey(ctx, r.Manifest, f, idsOf(bases)) // only a node that stops does not answer
	}
	p.found = append(p.found, found...)
	best := -1
	for i, s := range found {
		if s.Peer != "" {
			out.Peers++
		}
		known, better := s.DeltaBytes > 0, best < 0 || found[best].DeltaBytes == 0 || s.DeltaBytes < found[best].DeltaBytes
		if s.Delta && (best < 0 || known && better) {
			best = i
		}
	}
	switch {
	case best >= 0 && found[best].Peer == "": // it is here already
		p.delta(&out, found[best], bases)
	case best >= 0 && found[best].DeltaBytes > 0:
		p.delta(&out, found[best], bases)
		rest := found[best].DeltaBytes - found[best].PartBytes
		p.add(rest, rest)
	case best >= 0:
		p.delta(&out, found[best], bases)
		p.add(0, missing)
	default:
		p.add(missing/2, missing+missing>>10)
		p.out.FullBytes += missing
		switch {
		case len(bases) == 0:
			out.Reason = "no earlier version of it is here"
		case out.Peers == 0:
			out.Reason = "no peer at hand was asked, or has it"
		default:
			out.Reason = string(transfer.DeltaNoBasis)
			p.use.NoDelta = out.Reason
		}
	}
	p.out.Files = append(p.out.Files, out)
}

func (p *planner) delta(out *api.PlanFile, s transfer.Surveyed, bases []heldFile) {
	out.By, out.DeltaBytes, out.PartBytes = api.ByDelta, s.DeltaBytes, s.PartBytes
	for _, b := range bases {
		if b.file.ID() == s.Basis {
			out.Basis = b.release.Version
		}
	}
}

// sharedBytes returns how much of a file is in chunks that files here have, too,
// as far as its digests are here.
func (p *planner) sharedBytes(f manifest.File, held []heldFile) (bytes uint64) {
	digests, chunks, ok := p.node.digestsOf(f)
	if !ok {
		return 0
	}
	if p.known == nil {
		p.known = make(map[manifest.Digest]bool)
		for _, h := range held {
			theirs, _, _ := p.node.digestsOf(h.file)
			for _, d := range theirs {
				p.known[d] = true
			}
		}
	}
	for i, d := range digests {
		if p.known[d] {
			_, length := chunks.At(i)
			bytes += uint64(length)
		}
	}
	return bytes
}

// maxPlanChunks bounds the files whose chunks a plan compares.
const maxPlanChunks = 1 << 18

func (n *Node) digestsOf(f manifest.File) ([]manifest.Digest, manifest.Chunks, bool) {
	chunks, err := n.chunksOf(f.Layout)
	if err != nil || chunks.Len() > maxPlanChunks {
		return nil, chunks, false
	}
	digests, err := manifest.LoadDigests(f.Digests, chunks.Len(), n.store.Block)
	return digests, chunks, err == nil
}
