package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/dunlin-mesh/dunlin/bundle"
	"github.com/dunlin-mesh/dunlin/internal/durable"
	"github.com/dunlin-mesh/dunlin/node"
	"github.com/dunlin-mesh/dunlin/node/api"
)

type bundleCmd struct {
	Export bundleExportCmd `cmd:"" help:"Write releases into a file, for a USB stick."`
	Import bundleImportCmd `cmd:"" help:"Take releases from such a file, verified like anything else."`
	Ls     bundleLsCmd     `cmd:"" help:"Show what a bundle brings; no node is needed."`
	State  bundleStateCmd  `cmd:"" help:"Write what this site holds, for whoever makes a bundle for it."`
}

type bundleExportCmd struct {
	Models []string `arg:"" help:"Models, publisher/name, perhaps with their newest version: acme/vad@6.2.0."`
	Out    string   `required:"" help:"File to write." placeholder:"FILE.car" type:"path"`
	For    string   `help:"Leave out what the site holds that wrote this file with 'dunlin bundle state'." placeholder:"STATE.json" type:"existingfile"`
	Since  string   `help:"Leave out what a site has that holds this version of the models." placeholder:"VERSION"`
}

// Help is the second part of `dunlin bundle export --help`.
func (bundleExportCmd) Help() string {
	return `Without --for and --since the bundle is full: a node that has pinned the publisher needs nothing else. With one of
them it brings the chunks that are missing there, or for each file a delta where that is smaller, which takes a while to
make. The file is a CAR file; tools of IPFS list it. It is not encrypted.

Examples:
  dunlin bundle export acme/vad --out /media/stick/vad.car
  dunlin bundle export acme/vad acme/ocr --for clinic.json --out clinic.car
  dunlin bundle export acme/vad@6.2.0 --since 6.1.0 --out vad-delta.car

Exit codes: 0 done, 1 failed or nothing to bring, 2 wrong usage, 4 the release is not here whole.`
}

// Run writes the bundle.
func (c bundleExportCmd) Run(e *env) error {
	req := api.BundleExportRequest{Models: c.Models, Out: c.Out, Since: c.Since}
	if c.For != "" {
		var err error
		if req.State, err = readBounded(c.For, bundle.MaxStateBytes); err != nil {
			return err
		}
	}
	var r api.BundleExported
	if err := e.callLong("bundle/export", req, &r); err != nil {
		return err
	}
	return e.print(r, func(w io.Writer) {
		fmt.Fprintf(w, "wrote %s, %s\n", r.Path, size(r.Bytes))
		printBundled(w, r.Releases)
	})
}

// readBounded reads a file of at most limit bytes.
func readBounded(path string, limit int64) (data []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, api.Errorf(api.CodeUsage, "%v", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err = io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = api.Errorf(api.CodeUsage, "%s has more than %d bytes", path, limit)
	}
	return data, err
}

func printBundled(w io.Writer, releases []api.BundleRelease) {
	if len(releases) == 0 {
		fmt.Fprintln(w, "signed metadata only")
		return
	}
	t := newTable(w, "RELEASE", "SEQUENCE", "VARIANTS", "FILES", "AS DELTA", "BRINGS", "OF")
	for _, r := range releases {
		t.row(string(r.Model)+"@"+r.Version, r.Sequence, strings.Join(r.Variants, " "), r.Files, r.Deltas, size(r.Bytes), size(r.TotalBytes))
	}
	t.flush()
}

type bundleImportCmd struct {
	File  string `arg:"" help:"Bundle to read." type:"path"`
	Carry bool   `help:"Carry, from now on, models that are neither followed nor carried here."`
}

// Help is the second part of `dunlin bundle import --help`.
func (bundleImportCmd) Help() string {
	return `Everything is verified like what comes from a peer: signatures before anything is stored, every block against its
name, deltas by what they make. A model that is followed is then checked whole and activated by the running node, or at
the next 'dunlin up'; 'dunlin wait' tells when. An import that was cut off goes on where it stopped: run it again.

Examples:
  dunlin bundle import /media/stick/vad.car && dunlin wait acme/vad
  dunlin bundle import vad.car --carry

Exit codes: 0 done, 1 failed or something is still missing, 2 wrong usage or no rule asks for it, 3 not verified
(not signed, damaged, cut short, no bundle), 5 no room on disk.`
}

// Run imports.
func (c bundleImportCmd) Run(e *env) error {
	var r api.BundleImported
	if err := e.callLong("bundle/import", api.BundleImportRequest{Path: c.File, Carry: c.Carry}, &r); err != nil {
		return err
	}
	err := e.print(r, func(w io.Writer) {
		for _, rel := range r.Releases {
			fmt.Fprintf(w, "%s@%s: %s\n", rel.Model, rel.Version, imported(rel))
		}
		if len(r.Releases) == 0 {
			fmt.Fprintln(w, "signed metadata imported")
		}
	})
	return errors.Join(err, shortfall(r))
}

func imported(r api.ImportedRelease) string {
	text := r.State
	switch r.State {
	case api.ImportDone:
		text += fmt.Sprintf(", %s in %d chunks, all verified", size(r.Bytes), r.Chunks)
		if r.HeldChunks > 0 {
			text += fmt.Sprintf("; %d chunks were here", r.HeldChunks)
		}
	case api.ImportPartial:
		text += fmt.Sprintf(", %s are still missing: %s", size(r.MissingBytes), r.Reason)
	case api.ImportRefused:
		text += ": " + r.Reason
	}
	return text
}

// shortfall is the failure that something is still missing, or that nothing was
// of use.
func shortfall(r api.BundleImported) error {
	refused := 0
	for _, rel := range r.Releases {
		switch rel.State {
		case api.ImportPartial:
			return api.Errorf(api.CodeFailed, "%s@%s is not here whole yet: peers may have the rest, or export it in full or for this site's state", rel.Model, rel.Version)
		case api.ImportRefused:
			refused++
		}
	}
	if refused > 0 && refused == len(r.Releases) {
		return api.Errorf(api.CodeFailed, "nothing of it was imported: %s", r.Releases[0].Reason)
	}
	return nil
}

type bundleLsCmd struct {
	File  string `arg:"" help:"Bundle to read." type:"path"`
	Check bool   `help:"Read the whole file and compare every block with its name."`
}

// Help is the second part of `dunlin bundle ls --help`.
func (bundleLsCmd) Help() string {
	return `What it shows is what the file claims; signatures are for 'dunlin bundle import'.

Examples:
  dunlin bundle ls /media/stick/vad.car
  dunlin bundle ls vad.car --check

Exit codes: 0 done, 2 no such file, 3 damaged, cut short or no bundle.`
}

// bundleListing is the answer of `dunlin bundle ls --json`.
type bundleListing struct {
	Bytes      int64               `json:"bytes"`
	Full       bool                `json:"full"` // leaves out nothing
	Publishers []bundle.Publisher  `json:"publishers"`
	Releases   []api.BundleRelease `json:"releases"`
	Blocks     int                 `json:"blocks,omitempty"` // that were compared, with --check
}

// Run lists.
func (c bundleLsCmd) Run(e *env) (err error) {
	f, err := os.Open(c.File)
	if err != nil {
		return api.Errorf(api.CodeUsage, "%v", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	list, err := c.read(e, f)
	if errors.Is(err, bundle.ErrMalformed) {
		return api.Errorf(api.CodeUnverified, "%v", err)
	}
	if err != nil {
		return err
	}
	return e.print(list, func(w io.Writer) {
		for _, p := range list.Publishers {
			fmt.Fprintf(w, "publisher %s, fingerprint %s\n", p.Name, p.Fingerprint)
		}
		printBundled(w, list.Releases)
		if !list.Full && len(list.Releases) > 0 {
			fmt.Fprintln(w, "for a site that holds what it leaves out")
		}
		if c.Check {
			fmt.Fprintf(w, "all %d blocks are what their names say\n", list.Blocks)
		}
	})
}

func (c bundleLsCmd) read(e *env, f *os.File) (bundleListing, error) {
	r, err := bundle.Open(f)
	if err != nil {
		return bundleListing{}, err
	}
	_, bytes := r.Position()
	list := bundleListing{Bytes: bytes, Full: r.Root().Full, Publishers: r.Root().Publishers, Releases: []api.BundleRelease{}}
	for _, rel := range r.Root().Releases {
		list.Releases = append(list.Releases, node.DescribeBundled(rel))
	}
	if c.Check {
		bar := newBar(e.stderr)
		defer bar.finish()
		list.Blocks, err = r.Check(e, func(at, size int64) { bar.show(api.Progress{What: "checking", Done: at, Total: size}) })
		list.Blocks++ // the root
	}
	return list, err
}

type bundleStateCmd struct {
	Out string `help:"File to write; standard output if not given." placeholder:"STATE.json" type:"path"`
}

// Help is the second part of `dunlin bundle state --help`.
func (bundleStateCmd) Help() string {
	return `A small file with the models, versions and files that are here whole, and how far this node is with each
publisher. It holds no secret and no signature: a wrong one makes a bundle that is too large, or that the site cannot
use.

Examples:
  dunlin bundle state --out clinic.json
  ssh clinic dunlin bundle state | dunlin bundle export acme/vad --for /dev/stdin --out clinic.car

Exit codes: 0 done, 1 failed.`
}

// Run writes the state.
func (c bundleStateCmd) Run(e *env) error {
	var s bundle.State
	if err := e.call("bundle/state", nil, &s); err != nil {
		return err
	}
	if c.Out == "" {
		return (&env{stdout: e.stdout, json: true}).print(s, nil)
	}
	err := durable.Stream(c.Out, 0o644, func(w io.Writer) error { return (&env{stdout: w, json: true}).print(s, nil) })
	if err != nil {
		return err
	}
	return e.print(map[string]any{"path": c.Out, "releases": len(s.Releases)}, func(w io.Writer) {
		fmt.Fprintf(w, "wrote %s: %d releases\n", c.Out, len(s.Releases))
	})
}
