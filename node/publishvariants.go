package node

import (
	"path/filepath"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// variantsOf returns the builds that a publisher gave: several, or the one of a
// release without variants of its own. What a manifest would refuse is left to
// the manifest; what only a person can mean is refused here.
func variantsOf(req api.PublishRequest) ([]api.PublishVariant, error) {
	variants := req.Variants
	switch {
	case len(variants) > 0 && req.Path != "":
		return nil, api.Errorf(api.CodeUsage, "give either a path or variants with paths, not both")
	case len(variants) == 0:
		name := req.Variant
		if name == "" {
			name = defaultVariant
		}
		variants = []api.PublishVariant{{Name: name, Path: req.Path}}
	case len(variants) > manifest.MaxVariants:
		return nil, api.Errorf(api.CodeUsage, "%d variants, at most %d", len(variants), manifest.MaxVariants)
	}
	for _, v := range variants {
		if !filepath.IsAbs(v.Path) {
			return nil, api.Errorf(api.CodeUsage, "path %q is not absolute", v.Path)
		}
		if v.Requires == nil {
			continue
		}
		for _, text := range v.Requires.EP {
			if _, err := modelrt.ParseProvider(text); err != nil {
				return nil, api.Errorf(api.CodeUsage, "variant %s: %v", v.Name, err)
			}
		}
	}
	return variants, nil
}
