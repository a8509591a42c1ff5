package variant

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dunlin-mesh/dunlin/manifest"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/profile"
)

// check compares a variant's requirements with the machine, and returns the
// provider that it would run on.
func (in Input) check(v manifest.Variant) ([]Check, modelrt.Provider) {
	var r manifest.Requires
	if v.Requires != nil {
		r = *v.Requires
	}
	checks := []Check{}
	add := func(what, want, have string, met bool, reason string) {
		c := Check{What: what, Want: want, Have: have, Met: met}
		if !met {
			c.Reason = reason
		}
		checks = append(checks, c)
	}
	if len(r.OS) > 0 {
		add("os", strings.Join(r.OS, " or "), in.Profile.OS, slices.Contains(r.OS, in.Profile.OS), "this system is "+in.Profile.OS)
	}
	if len(r.Arch) > 0 {
		add("arch", strings.Join(r.Arch, " or "), in.Profile.Arch, slices.Contains(r.Arch, in.Profile.Arch), "this machine is "+in.Profile.Arch)
	}
	if len(r.ISA) > 0 {
		var lacks []string
		for _, name := range r.ISA {
			if !slices.Contains(in.Profile.ISA, profile.ISAName(name)) {
				lacks = append(lacks, name)
			}
		}
		add("isa", strings.Join(r.ISA, " and "), strings.Join(in.Profile.ISA, " "), len(lacks) == 0, "this processor has no "+strings.Join(lacks, ", "))
	}
	provider := modelrt.CPU
	if in.Profile.Engine.Reason == "" {
		p, why := in.provider(r.EP)
		if len(r.EP) > 0 || p == "" {
			add("ep", strings.Join(r.EP, " or "), string(p), p != "", why)
		}
		provider = p
	}
	if m := in.Profile.Memory; r.MinMemoryBytes > 0 && m.LimitBytes > 0 {
		add("memory", fmt.Sprint(r.MinMemoryBytes), fmt.Sprint(m.LimitBytes), r.MinMemoryBytes <= m.LimitBytes,
			fmt.Sprintf("it needs %d bytes, this machine has %d", r.MinMemoryBytes, m.LimitBytes))
	}
	if in.Runs != nil {
		add("format", v.Format, "", in.Runs(v.Format), "no engine here runs "+v.Format)
	}
	if in.Failed != nil {
		if why := in.Failed(v.Name); why != "" {
			add("tried", "to load here", "", false, "it was tried and failed: "+why)
		}
	}
	return checks, provider
}

// provider returns the first provider of this node that works and that the
// variant allows; otherwise none, and why.
func (in Input) provider(allowed []string) (modelrt.Provider, string) {
	order := in.Providers
	if len(order) == 0 {
		order = []modelrt.Provider{modelrt.CPU}
	}
	want := make([]modelrt.Provider, 0, len(allowed))
	var unknown []string
	for _, text := range allowed {
		if p, err := modelrt.ParseProvider(text); err == nil {
			want = append(want, p)
		} else {
			unknown = append(unknown, text)
		}
	}
	var reasons []string
	for _, p := range order {
		if len(allowed) > 0 && !slices.Contains(want, p) {
			continue
		}
		why := in.unusable(p)
		if why == "" {
			return p, ""
		}
		reasons = append(reasons, why)
	}
	for _, p := range want {
		if !slices.Contains(order, p) {
			reasons = append(reasons, fmt.Sprintf("%s is not among this node's providers (engine.providers in config.json)", p))
		}
	}
	for _, text := range unknown {
		reasons = append(reasons, fmt.Sprintf("this node knows no execution provider %s", text))
	}
	return "", strings.Join(reasons, "; ")
}

// unusable says why a provider does not work; empty if it does.
func (in Input) unusable(p modelrt.Provider) string {
	if len(in.Profile.Providers) == 0 { // not tried
		if p == modelrt.CPU {
			return ""
		}
		return string(p) + " was not tried"
	}
	found, ok := in.Profile.Provider(p)
	switch {
	case !ok:
		return string(p) + " was not tried"
	case !found.Usable:
		return string(p) + ": " + found.Reason
	}
	return ""
}
