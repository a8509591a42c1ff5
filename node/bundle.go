package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dunlin-mesh/dunlin/bundle"
	"github.com/dunlin-mesh/dunlin/internal/durable"
	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
	"github.com/dunlin-mesh/dunlin/store"
	"github.com/dunlin-mesh/dunlin/trust"
)

// bundlesName is the folder in a node's home for deltas while a bundle is made.
const bundlesName = "bundles"

// bundleState says what this site holds, for whoever makes a bundle for it.
func (n *Node) bundleState(context.Context, none, *api.Writer) (*bundle.State, error) {
	s := &bundle.State{Schema: bundle.Schema, Node: n.id.String(), Made: time.Now().UTC().Truncate(time.Second)}
	for _, p := range n.trust.Publishers() {
		if p.Problem != nil {
			continue
		}
		have, err := n.trust.Have(p.Fingerprint).Encode()
		if err != nil {
			return nil, err
		}
		s.Publishers = append(s.Publishers, bundle.KnownPublisher{Name: p.Name, Fingerprint: manifest.Digest(p.Fingerprint), Have: have})
	}
	held, err := n.heldReleases(everyRelease)
	s.Releases = held
	return s, err
}

// heldReleases lists the releases that match, with the files of their complete
// variants, in order of model and sequence.
func (n *Node) heldReleases(match func(store.Release) bool) ([]bundle.HeldRelease, error) {
	out := []bundle.HeldRelease{}
	seen := make(map[manifest.FileID]bool)
	for h, err := range n.heldFiles(match) {
		if err != nil {
			return nil, err
		}
		if k := len(out); k == 0 || out[k-1].Manifest != h.release.Manifest {
			clear(seen)
			out = append(out, bundle.HeldRelease{
				Model: h.release.Model, Version: h.release.Version, Sequence: h.release.Sequence, Manifest: h.release.Manifest,
			})
		}
		if id := h.file.ID(); !seen[id] {
			seen[id] = true
			rel := &out[len(out)-1]
			rel.Files = append(rel.Files, bundle.HeldFile{FileID: id, Size: h.file.Size})
		}
	}
	return out, nil
}

// exportBundle writes releases into a file.
func (n *Node) exportBundle(ctx context.Context, req api.BundleExportRequest, out *api.Writer) (api.BundleExported, error) {
	if !filepath.IsAbs(req.Out) {
		return api.BundleExported{}, api.Errorf(api.CodeUsage, "path %q is not absolute", req.Out)
	}
	if req.Since != "" && len(req.State) > 0 {
		return api.BundleExported{}, api.Errorf(api.CodeUsage, "a bundle is either for a state or since a version")
	}
	n.bundling.Lock()
	defer n.bundling.Unlock()
	c := bundle.ExportConfig{Source: n.store, Temp: filepath.Join(n.dir, bundlesName), Progress: showing(out)}
	var err error
	if c.Releases, err = n.choices(req.Models); err != nil {
		return api.BundleExported{}, err
	}
	if c.State, err = n.destination(req, c.Releases); err != nil {
		return api.BundleExported{}, err
	}
	if c.State != nil {
		c.Encoder = &deltaMaker{n: n}
		c.Releases = slices.DeleteFunc(c.Releases, func(r bundle.Choice) bool { return n.holdsAll(c.State, r) })
	}
	if c.Updates, err = n.updatesFor(req.Models, c.State); err != nil {
		return api.BundleExported{}, err
	}
	if len(c.Releases)+len(c.Updates) == 0 {
		return api.BundleExported{}, api.Errorf(api.CodeFailed, "nothing to bring: that site holds all of it")
	}
	// What an earlier process left there, where open files cannot be removed.
	if err := errors.Join(os.RemoveAll(c.Temp), durable.MkdirAll(c.Temp, 0o700)); err != nil {
		return api.BundleExported{}, err
	}
	var summary bundle.Summary
	err = durable.Stream(req.Out, 0o644, func(w io.Writer) (err error) {
		summary, err = bundle.Export(ctx, c, w)
		return err
	})
	if err != nil {
		return api.BundleExported{}, fmt.Errorf("export: %w", err)
	}
	return describeExport(req.Out, summary), nil
}

func describeExport(path string, s bundle.Summary) api.BundleExported {
	out := api.BundleExported{Path: path, Root: s.Root, Bytes: s.Bytes, Publishers: []string{}, Releases: []api.BundleRelease{}}
	for _, p := range s.Brings.Publishers {
		out.Publishers = append(out.Publishers, p.Name)
	}
	for _, r := range s.Brings.Releases {
		out.Releases = append(out.Releases, DescribeBundled(r))
	}
	return out
}

// DescribeBundled says for people and scripts how a release comes in a bundle.
func DescribeBundled(r bundle.Release) api.BundleRelease {
	out := api.BundleRelease{Model: r.Model, Version: r.Version, Sequence: r.Sequence, Manifest: r.Manifest, Variants: r.Variants, Files: len(r.Files)}
	for _, f := range r.Files {
		out.TotalBytes += f.Size
		out.Bytes += f.Bytes()
		if f.Delta != nil {
			out.Deltas++
		}
	}
	return out
}

// showing passes progress on to the caller.
func showing(out *api.Writer) func(what string, done, total int64) {
	var last time.Time
	var of string
	return func(what string, done, total int64) {
		if now := time.Now(); what != of || done == total || now.Sub(last) > 50*time.Millisecond {
			last, of = now, what
			out.Progress(api.Progress{What: what, Done: done, Total: total})
		}
	}
}

// choices finds the releases that are asked for: each the newest that its
// publisher signed, since a site makes use of no other, with all variants that
// are here whole.
func (n *Node) choices(texts []string) ([]bundle.Choice, error) {
	if len(texts) == 0 {
		return nil, api.Errorf(api.CodeUsage, "name the models to export")
	}
	var out []bundle.Choice
	for _, text := range texts {
		name, version, _ := strings.Cut(text, "@")
		m, err := manifest.ParseModel(name)
		if err != nil {
			return nil, err
		}
		latest, ok := n.trust.Latest(m)
		if !ok {
			return nil, api.Errorf(api.CodeFailed, "no signed release of %s is known here", m)
		}
		if version != "" && version != latest.Version {
			return nil, api.Errorf(api.CodeFailed, "%s is not the newest that its publisher signed, which is %s: a site would wait for that one instead", text, latest.Version)
		}
		held, err := n.held(latest.Manifest)
		if err != nil {
			return nil, err
		}
		signed, err := n.manifest(latest.Manifest)
		if err != nil {
			return nil, notWhole(m, latest.Version)
		}
		c := bundle.Choice{Model: m, Version: latest.Version, Sequence: latest.Sequence, Manifest: latest.Manifest}
		complete := func(name string) bool {
			return slices.ContainsFunc(held.Variants, func(v store.VariantState) bool { return v.Name == name && v.Complete })
		}
		for _, v := range signed.Variants {
			if complete(v.Name) {
				c.Variants = append(c.Variants, v.Name)
			}
		}
		if len(c.Variants) == 0 || (len(signed.Golden) > 0 && !complete(store.Golden)) || (signed.Report != nil && !complete(store.Report)) {
			return nil, notWhole(m, latest.Version)
		}
		if !slices.ContainsFunc(out, func(o bundle.Choice) bool { return o.Model == m }) {
			out = append(out, c)
		}
	}
	return out, nil
}

func notWhole(m manifest.Model, version string) error {
	return api.Errorf(api.CodeUnreachable, "%s@%s is not here whole: `dunlin wait %s` first", m, version, m)
}

// destination returns what is held where the bundle goes; nil for nothing.
func (n *Node) destination(req api.BundleExportRequest, choices []bundle.Choice) (*bundle.State, error) {
	switch {
	case len(req.State) > 0:
		s, err := bundle.ParseState(req.State)
		if err != nil {
			return nil, api.Errorf(api.CodeUsage, "%v", err)
		}
		return s, nil
	case req.Since == "":
		return nil, nil
	}
	if err := manifest.ValidateVersion(req.Since); err != nil {
		return nil, err
	}
	held, err := n.heldReleases(func(r store.Release) bool { return r.Version == req.Since })
	if err != nil {
		return nil, err
	}
	for _, c := range choices {
		if !slices.ContainsFunc(held, func(h bundle.HeldRelease) bool { return h.Model == c.Model }) {
			return nil, api.Errorf(api.CodeFailed, "%s@%s is not here whole, so no difference to it can be made: export in full, or for the site's state", c.Model, req.Since)
		}
	}
	return &bundle.State{Schema: bundle.Schema, Releases: held}, nil
}

// holdsAll says whether the destination has the release with all these variants.
func (n *Node) holdsAll(s *bundle.State, c bundle.Choice) bool {
	m, err := n.manifest(c.Manifest)
	if err != nil {
		return false
	}
	for _, held := range s.Of(c.Model) {
		if held.Manifest != c.Manifest {
			continue
		}
		return !slices.ContainsFunc(slices.Concat(c.Variants, []string{store.Golden, store.Report}), func(name string) bool {
			return slices.ContainsFunc(filesOf(m, name), func(f manifest.File) bool { return !s.Holds(f.ID()) })
		})
	}
	return false
}

// updatesFor returns the signed metadata that the destination lacks of the
// publishers of these models.
func (n *Node) updatesFor(models []string, s *bundle.State) ([]bundle.Update, error) {
	var out []bundle.Update
	for _, text := range models {
		name, _, _ := strings.Cut(text, "/")
		p, ok := n.trust.Publisher(name)
		if !ok || slices.ContainsFunc(out, func(u bundle.Update) bool { return u.Name == name }) {
			continue
		}
		var have trust.Have
		if s != nil {
			for _, known := range s.Publishers {
				if trust.Fingerprint(known.Fingerprint) != p.Fingerprint {
					continue
				}
				var err error
				if have, err = trust.DecodeHave(known.Have); err != nil {
					return nil, api.Errorf(api.CodeUsage, "state: publisher %s: %v", p.Name, err)
				}
			}
		}
		update, news, err := n.trust.Update(p.Fingerprint, have)
		if err != nil {
			return nil, err
		}
		if !news {
			continue
		}
		data, err := update.Encode()
		if err != nil {
			return nil, err
		}
		out = append(out, bundle.Update{Name: name, Fingerprint: manifest.Digest(p.Fingerprint), Data: data})
	}
	return out, nil
}
