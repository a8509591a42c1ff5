package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
)

// variants reads the builds that were given: none for a path alone, or several
// of the form NAME=PATH[,KEY=VALUE].... The name of the one variant of a release
// is returned where it stands alone.
func (c publishCmd) variants() (name string, variants []api.PublishVariant, err error) {
	if len(c.Variant) == 1 && !strings.Contains(c.Variant[0], "=") {
		if c.Path == "" {
			return "", nil, api.Errorf(api.CodeUsage, "variant %s has no path: say --variant %s=PATH, or give the path before it", c.Variant[0], c.Variant[0])
		}
		return c.Variant[0], nil, nil
	}
	for _, text := range c.Variant {
		v, err := parseVariant(text)
		if err != nil {
			return "", nil, api.Errorf(api.CodeUsage, "--variant %s: %v", text, err)
		}
		variants = append(variants, v)
	}
	switch {
	case len(variants) > 0 && c.Path != "":
		return "", nil, api.Errorf(api.CodeUsage, "%s and variants with paths are given: make it a variant too, as --variant NAME=%s", c.Path, c.Path)
	case len(variants) == 0 && c.Path == "":
		return "", nil, api.Errorf(api.CodeUsage, "nothing to publish: give a path, or variants as --variant NAME=PATH")
	}
	return "", variants, nil
}

// parseVariant reads NAME=PATH[,KEY=VALUE]...; several values of one key are
// joined by plus signs.
func parseVariant(text string) (api.PublishVariant, error) {
	parts := strings.Split(text, ",")
	name, path, ok := strings.Cut(parts[0], "=")
	if !ok || name == "" || path == "" {
		return api.PublishVariant{}, fmt.Errorf("want NAME=PATH first")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return api.PublishVariant{}, err
	}
	v := api.PublishVariant{Name: name, Path: abs}
	var r manifest.Requires
	var given []string
	for _, part := range parts[1:] {
		key, value, ok := strings.Cut(part, "=")
		if !ok || value == "" {
			return api.PublishVariant{}, fmt.Errorf("%q is no KEY=VALUE (a path may hold no comma)", part)
		}
		if slices.Contains(given, key) {
			return api.PublishVariant{}, fmt.Errorf("%s is given twice: join values by plus signs, as %s=a+b", key, key)
		}
		given = append(given, key)
		switch list := strings.Split(value, "+"); key {
		case "ep":
			r.EP = list
		case "isa":
			r.ISA = list
		case "os":
			r.OS = list
		case "arch":
			r.Arch = list
		case "min-memory":
			if r.MinMemoryBytes, err = parseSize(value); err != nil {
				return api.PublishVariant{}, fmt.Errorf("min-memory: %w", err)
			}
		case "precision":
			v.Precision = value
		case "quantization":
			v.Quantization = value
		default:
			return api.PublishVariant{}, fmt.Errorf("%q is none of ep, isa, os, arch, min-memory, precision, quantization", key)
		}
	}
	if r.MinMemoryBytes > 0 || len(r.EP)+len(r.ISA)+len(r.OS)+len(r.Arch) > 0 {
		v.Requires = &r
	}
	return v, nil
}
