package trust

import (
	"maps"
	"slices"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Models returns every model for which a pinned publisher has signed, in
// ascending order.
func (r *Registry) Models() []manifest.Model {
	var models []manifest.Model
	for _, v := range r.all() {
		for name := range maps.Keys(v.roles) {
			models = append(models, manifest.Model(v.name+"/"+name))
		}
	}
	slices.Sort(models)
	return models
}

// Latest returns the release of model with the highest sequence that is not
// revoked; false if there is none. It may be Stale.
func (r *Registry) Latest(model manifest.Model) (Release, bool) {
	v := r.byName(model.Publisher())
	if v == nil || v.roles[model.Name()] == nil {
		return Release{}, false
	}
	for _, rec := range v.roles[model.Name()].releases {
		if release := v.release(model.Name(), rec, r.now(v)); !release.Revoked {
			return release, true
		}
	}
	return Release{}, false
}

// Releases returns the releases that the publisher's newest metadata lists for
// model, highest sequence first, revoked ones included. Signers list the
// newest few only; see Release for older ones.
func (r *Registry) Releases(model manifest.Model) []Release {
	v := r.byName(model.Publisher())
	if v == nil || v.roles[model.Name()] == nil {
		return nil
	}
	now := r.now(v)
	var releases []Release
	for _, rec := range v.roles[model.Name()].releases {
		releases = append(releases, v.release(model.Name(), rec, now))
	}
	return releases
}

// Release returns what version of model is, listed or remembered from earlier
// metadata; false if this node never accepted such a release.
func (r *Registry) Release(model manifest.Model, version string) (Release, bool) {
	v := r.byName(model.Publisher())
	if v == nil {
		return Release{}, false
	}
	rec, ok := v.memories[model.Name()].find(version)
	if !ok {
		return Release{}, false
	}
	return v.release(model.Name(), rec, r.now(v)), true
}
