package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/dunlin-mesh/dunlin/internal/durable"
	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
)

type publisherCmd struct {
	Create publisherCreateCmd `cmd:"" help:"Make keys and a root for a publisher, and pin it on this node."`
	Export publisherExportCmd `cmd:"" help:"Write the root file that 'dunlin trust add' takes."`
}

type publisherCreateCmd struct {
	Name string `arg:"" help:"Name of the publisher, the part before the slash of its models."`
}

// Help is the second part of `dunlin publisher create --help`.
func (publisherCreateCmd) Help() string {
	return `The keys stay in this node's home, readable by its owner only. Keep a copy of the home's folder publishers/ in a
safe place: whoever has it can publish, and nobody can publish without it.

Example:
  dunlin publisher create acme

Exit codes: 0 done, 1 failed or there already, 2 wrong usage.`
}

// Run creates the publisher.
func (c publisherCreateCmd) Run(e *env) error {
	var p api.PublisherRoot
	if err := e.call("publisher/create", api.PublisherRequest{Name: c.Name}, &p); err != nil {
		return err
	}
	return e.print(p, func(w io.Writer) {
		fmt.Fprintf(w, "publisher %s\nfingerprint %s\n", p.Name, p.Fingerprint)
	})
}

type publisherExportCmd struct {
	Name string `arg:"" help:"Name of the publisher."`
	Out  string `help:"File to write; standard output if not given." placeholder:"FILE" type:"path"`
}

// Help is the second part of `dunlin publisher export --help`.
func (publisherExportCmd) Help() string {
	return `The file holds no secret. Its sha256 is the publisher's fingerprint.

Examples:
  dunlin publisher export acme --out acme.root
  dunlin publisher export acme | ssh clinic dunlin trust add -

Exit codes: 0 done, 1 no such publisher here, 2 wrong usage.`
}

// Run writes the root file.
func (c publisherExportCmd) Run(e *env) error {
	var p api.PublisherRoot
	if err := e.call("publisher/export", api.PublisherRequest{Name: c.Name}, &p); err != nil {
		return err
	}
	if c.Out == "" {
		if e.json {
			return e.print(p, nil)
		}
		_, err := e.stdout.Write(p.Root)
		return err
	}
	if err := durable.WriteFile(c.Out, p.Root, 0o644); err != nil {
		return err
	}
	return e.print(p, func(w io.Writer) {
		fmt.Fprintf(w, "wrote %s\nfingerprint %s\n", c.Out, p.Fingerprint)
	})
}

type publishCmd struct {
	Path    string   `arg:"" optional:"" help:"Model file, or folder of files." type:"path"`
	Model   string   `required:"" help:"Name of the model, publisher/name." placeholder:"P/N"`
	Version string   `required:"" help:"Version for people; one version has one content for ever." placeholder:"V"`
	Variant []string `help:"A build of the model as NAME=PATH[,KEY=VALUE]..., again for several; or only the name of the one in PATH." sep:"none" placeholder:"NAME=PATH,..."`
	Golden  string   `help:"Folder of the golden set to ship with it." placeholder:"DIR" type:"existingdir"`
	InPlace bool     `help:"Serve the file from where it is instead of from a copy. It must not be changed then."`
	DType   string   `name:"dtype" help:"Element type of a headerless array, such as i16 or f32." placeholder:"TYPE"`
	Licence string   `help:"SPDX expression of the model's licence."`
	Urgent  bool     `help:"Nodes are not to wait for each other's word of it."`
	MinSafe uint64   `help:"Revoke releases with a lower sequence." placeholder:"SEQUENCE"`
}

// Help is the second part of `dunlin publish --help`.
func (publishCmd) Help() string {
	return `Lays the file out along its tensors, hashes it, signs the release and keeps it here; peers fetch it from this node
and from each other. Nothing is uploaded. Known formats are ONNX, safetensors, GGUF, TFLite, NumPy and zip archives;
anything else is cut by content.

A release may hold several builds for different hardware. Each is a --variant with its file or folder and what it
requires; values of one key are joined by plus signs:

  ep=CUDA+TensorRT       execution providers, of which one must work on the node
  isa=avx2+avx512vnni    instruction sets, all of them
  os=linux  arch=arm64   systems and architectures, one of which it must be
  min-memory=2GiB        what loading takes at its peak; twice the files and 32 MiB if it is not said
  precision=i8           the dominant element type; found by itself if it is not said
  quantization=dynamic   how it was made, for people

A node fetches only the one that suits it best; 'dunlin why MODEL' shows how it chose. What would be alike for a node is
taken in the order given here.

Examples:
  dunlin publish ./vad.onnx --model acme/vad --version 6.2.0
  dunlin publish ./llama/ --model acme/llama --version 2026-11 --in-place
  dunlin publish ./eval.nn --model acme/eval --version 4 --dtype i16
  dunlin publish --model acme/ocr --version 2.0 --variant fp32=ocr.onnx --variant int8=ocr-int8.onnx,isa=avx2
  dunlin publish --model acme/ocr --version 2.1 --variant gpu=ocr-fp16.onnx,ep=CUDA+TensorRT,min-memory=3GiB \
      --variant intel=ocr.onnx,ep=OpenVINO,arch=amd64 --variant any=ocr.onnx
  dunlin publish ./old.onnx --model acme/vad --version 6.1.0     # going back: old bytes, new sequence

Exit codes: 0 done, 1 failed (a malformed file, a version that is taken), 2 wrong usage, 5 no room on disk.`
}

// Run publishes.
func (c publishCmd) Run(e *env) error {
	name, variants, err := c.variants()
	if err != nil {
		return err
	}
	paths := []string{c.Path}
	if len(variants) > 0 {
		paths = nil
		for _, v := range variants {
			paths = append(paths, v.Path)
		}
	}
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			return api.Errorf(api.CodeUsage, "nothing to publish: %v", err)
		}
	}
	req := api.PublishRequest{
		Path: c.Path, Model: manifest.Model(c.Model), Version: c.Version, Variant: name, Variants: variants, InPlace: c.InPlace,
		DType: manifest.DType(c.DType), Licence: c.Licence, MinSafeSequence: c.MinSafe, Golden: c.Golden, Urgent: c.Urgent,
	}
	var r api.PublishResult
	if err := e.callLong("publish", req, &r); err != nil {
		return err
	}
	return e.print(r, func(w io.Writer) {
		fmt.Fprintf(w, "published %s@%s, sequence %d\n", r.Model, r.Version, r.Sequence)
		fmt.Fprintf(w, "manifest %s\n", r.Manifest)
		if len(r.Variants) > 1 {
			fmt.Fprintf(w, "variants %s\n", strings.Join(r.Variants, ", "))
		}
		fmt.Fprintf(w, "%s in %d files, %d tensors, %d chunks, %.1f s\n", size(r.Bytes), r.Files, r.Tensors, r.Chunks, r.Seconds)
	})
}

type trustCmd struct {
	Add trustAddCmd `cmd:"" help:"Pin a publisher by its root file or its fingerprint."`
	Ls  trustLsCmd  `cmd:"" help:"List the publishers that this node believes."`
}

type trustAddCmd struct {
	What string `arg:"" help:"Root file, '-' for standard input, or a fingerprint of 64 hexadecimal digits."`
	Name string `help:"Name that the publisher must have, with a fingerprint." placeholder:"NAME"`
}

// Help is the second part of `dunlin trust add --help`.
func (trustAddCmd) Help() string {
	return `With a fingerprint alone, the root is learned from the first peer that has it, and checked.

Examples:
  dunlin trust add acme.root
  dunlin trust add 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 --name acme

Exit codes: 0 done, 1 another publisher has this name, 2 wrong usage, 3 the file is no root.`
}

const maxRootBytes = 1 << 20

// Run pins the publisher.
func (c trustAddCmd) Run(e *env) error {
	req := api.TrustRequest{Name: c.Name}
	if _, err := os.Stat(c.What); err == nil || c.What == "-" {
		root, err := c.read(e)
		if err != nil {
			return err
		}
		req.Root = root
	} else {
		if len(c.What) < 64 {
			return api.Errorf(api.CodeUsage, "%s is neither a file nor a fingerprint of 64 hexadecimal digits", c.What)
		}
		req.Fingerprint = c.What
	}
	var p api.Publisher
	if err := e.call("trust", req, &p); err != nil {
		return err
	}
	return e.print(p, func(w io.Writer) { fmt.Fprintf(w, "trusting %s\nfingerprint %s\n", p.Name, p.Fingerprint) })
}

func (c trustAddCmd) read(e *env) (root []byte, err error) {
	in := e.stdin
	if c.What != "-" {
		f, err := os.Open(c.What)
		if err != nil {
			return nil, fmt.Errorf("read root: %w", err)
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		in = f
	}
	root, err = io.ReadAll(io.LimitReader(in, maxRootBytes+1))
	if err == nil && len(root) > maxRootBytes {
		err = api.Errorf(api.CodeUnverified, "%s has more than %d bytes, it is no root", c.What, maxRootBytes)
	}
	return root, err
}

type trustLsCmd struct{}

// Run lists publishers.
func (trustLsCmd) Run(e *env) error {
	var list []api.Publisher
	if err := e.call("trust", nil, &list); err != nil {
		return err
	}
	return e.print(list, func(w io.Writer) {
		t := newTable(w, "PUBLISHER", "FINGERPRINT", "VERSION", "EXPIRES", "MODELS", "NOTE")
		for _, p := range list {
			t.row(p.Name, p.Fingerprint[:min(16, len(p.Fingerprint))]+"…", p.Version, day(p.Expires), len(p.Models), publisherNote(p))
		}
		t.flush()
	})
}

func publisherNote(p api.Publisher) string {
	switch {
	case p.Problem != "":
		return p.Problem
	case p.Evidence > 0:
		return "caught at two contents under one version"
	case !p.Known:
		return "waiting for its root from a peer"
	case p.Stale:
		return "stale"
	case p.Own:
		return "keys are here"
	}
	return ""
}
