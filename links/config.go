package links

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Class is a kind of link; it decides how hard is compressed and how long
// silence is borne.
type Class string

// The classes, from cheap to dear.
const (
	LAN       Class = "lan"
	WAN       Class = "wan"
	Narrow    Class = "narrow"
	Satellite Class = "satellite"
)

// Classes lists them all.
func Classes() []Class { return []Class{LAN, WAN, Narrow, Satellite} }

// Default is the name of the link that takes what no other one does.
const Default = "default"

// Bounds of a configuration.
const (
	MaxLinks         = 16
	maxMatches       = 64
	maxWindows       = 32
	maxNameBytes     = 32
	DefaultFullLimit = Bytes(16 << 20)
	minBudget        = Bytes(64 << 10)
	minRate          = Rate(300)
)

// ErrConfig says that what an operator said about links is wrong, and how.
var ErrConfig = errors.New("invalid link")

// Config is one link, as the operator describes it. The zero value of a field
// but the name means: no such bound.
type Config struct {
	// Name is 1 to 32 lower-case letters, digits and dashes.
	Name string `json:"name"`
	// Match are prefixes of the remote address. Every link but the default one
	// has a match, a local, or both.
	Match []netip.Prefix `json:"match,omitempty"`
	// Local are names of this machine's interfaces, or its addresses.
	Local []string `json:"local,omitempty"`
	// Class says what kind of link it is; default that of the node's preset.
	Class Class `json:"class,omitempty"`
	// Up and Down are rates in each direction, 300 bit/s to 1 Tbit/s.
	Up   Rate `json:"up,omitzero"`
	Down Rate `json:"down,omitzero"`
	// Schedule says when the link is open; at most 32 windows.
	Schedule Schedule `json:"schedule,omitempty"`
	// Day and Month are the bytes that may pass in each day and month by the
	// local clock, up and down together, headers included; at least 64 KiB.
	Day   Bytes `json:"day,omitzero"`
	Month Bytes `json:"month,omitzero"`
	// Metered says that bytes cost money: large full downloads, and those in
	// spite of a version that is here, wait for `dunlin allow`.
	Metered bool `json:"metered,omitempty"`
	// FullLimit is how much of a release may come in full over a metered link
	// without asking; default 16 MiB there. On a link that is not metered it
	// counts if it is set.
	FullLimit Bytes `json:"full_limit,omitzero"`
}

// Validate names the first thing that is wrong; the error wraps [ErrConfig].
func (c Config) Validate() error {
	if err := c.validate(); err != nil {
		return fmt.Errorf("%w %.40q: %w", ErrConfig, c.Name, err)
	}
	return nil
}

func (c Config) validate() error {
	if !validName(c.Name) {
		return fmt.Errorf("name: want 1 to %d lower-case letters, digits and dashes", maxNameBytes)
	}
	if matches := len(c.Match) + len(c.Local); (matches == 0) != (c.Name == Default) {
		if c.Name == Default {
			return errors.New("it takes what no other link does, and has neither match nor local")
		}
		return errors.New("say which connections it takes: match=PREFIX of the remote address, or local=INTERFACE")
	} else if matches > maxMatches {
		return fmt.Errorf("%d prefixes and interfaces, at most %d", matches, maxMatches)
	}
	for _, p := range c.Match {
		if !p.IsValid() || p != p.Masked() {
			return fmt.Errorf("match %s: want a prefix without bits behind its length, such as 10.8.0.0/16 or 2001:db8::/32", p)
		}
	}
	for _, l := range c.Local {
		if l == "" || len(l) > 64 || strings.ContainsAny(l, " /,=") {
			return fmt.Errorf("local %.40q: want an interface or an address of this machine, such as wwan0 or 10.8.0.2", l)
		}
	}
	if c.Class != "" && !slices.Contains(Classes(), c.Class) {
		return fmt.Errorf("class %.20q is none of %v", c.Class, Classes())
	}
	for _, r := range []struct {
		name string
		rate Rate
	}{{"up", c.Up}, {"down", c.Down}} {
		if r.rate != 0 && (r.rate < minRate || r.rate > MaxRate) {
			return fmt.Errorf("%s %s: want %s to %s", r.name, r.rate, minRate, MaxRate)
		}
	}
	if len(c.Schedule) > maxWindows {
		return fmt.Errorf("schedule of %d windows, at most %d", len(c.Schedule), maxWindows)
	}
	for _, b := range []struct {
		name  string
		bytes Bytes
	}{{"day", c.Day}, {"month", c.Month}} {
		if b.bytes != 0 && (b.bytes < minBudget || b.bytes > MaxBytes) {
			return fmt.Errorf("%s %s: want at least %s", b.name, b.bytes, minBudget)
		}
	}
	if c.FullLimit < 0 || c.FullLimit > MaxBytes {
		return fmt.Errorf("full_limit of %d bytes", c.FullLimit)
	}
	return nil
}

func validName(name string) bool {
	return name != "" && len(name) <= maxNameBytes && name[0] != '-' &&
		strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// Unasked returns how much of a release may come in full without the operator's
// word; 0 for no limit.
func (c Config) Unasked() Bytes {
	if c.FullLimit == 0 && c.Metered {
		return DefaultFullLimit
	}
	return c.FullLimit
}

// Validate checks each link, and that names differ.
func Validate(list []Config) error {
	if len(list) > MaxLinks {
		return fmt.Errorf("%w: %d of them, at most %d", ErrConfig, len(list), MaxLinks)
	}
	seen := make(map[string]bool)
	for _, c := range list {
		if err := c.Validate(); err != nil {
			return err
		}
		if seen[c.Name] {
			return fmt.Errorf("%w %q: there are two of this name", ErrConfig, c.Name)
		}
		seen[c.Name] = true
	}
	return nil
}
