package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/dunlin-mesh/dunlin/links"
	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
	"github.com/dunlin-mesh/dunlin/trust"
)

// Bounds of a priority, and how many may be set.
const (
	leastPriority = -100
	mostPriority  = 100
	maxPriorities = 1024
)

// validatePriorities checks what the configuration says.
func validatePriorities(priorities map[string]int) error {
	if len(priorities) > maxPriorities {
		return fmt.Errorf("%d priorities, at most %d", len(priorities), maxPriorities)
	}
	for pattern, n := range priorities {
		if err := checkPatterns([]string{pattern}); err != nil {
			return fmt.Errorf("priority: %w", err)
		}
		if n < leastPriority || n > mostPriority {
			return fmt.Errorf("priority %d of %s is not within %d and %d", n, pattern, leastPriority, mostPriority)
		}
	}
	return nil
}

// configure changes config.json; what the change refuses is wrong usage.
func (n *Node) configure(change func(*Config) error) (Config, error) {
	n.configuring.Lock()
	defer n.configuring.Unlock()
	c, err := LoadConfig(n.dir)
	if err != nil {
		return c, err
	}
	if err = change(&c); err == nil {
		err = c.Validate()
	}
	if err != nil {
		return c, api.Errorf(api.CodeUsage, "%v", err)
	}
	return c, saveConfig(n.dir, c)
}

// links lists the links and how they stand.
func (n *Node) listLinks(context.Context, none, *api.Writer) ([]api.Link, error) {
	list := []api.Link{}
	for _, l := range n.paths.set.All() {
		list = append(list, describeLink(l.Status()))
	}
	return list, nil
}

func describeLink(s links.Status) api.Link {
	c := s.Config
	out := api.Link{
		Name: c.Name, Match: []string{}, Local: c.Local, Class: string(c.Class), UpBits: int64(c.Up), DownBits: int64(c.Down),
		Metered: c.Metered, FullLimit: int64(c.Unasked()), Open: s.Open,
		Day:     api.Budget{Of: s.Day, SpentBytes: s.InDay, ControlBytes: min(s.Control.InDay, s.InDay), LimitBytes: int64(c.Day)},
		Month:   api.Budget{Of: s.Month, SpentBytes: s.InMonth, ControlBytes: min(s.Control.InMonth, s.InMonth), LimitBytes: int64(c.Month)},
		UpBytes: s.Up, DownBytes: s.Down, ControlUpBytes: s.Control.Up, ControlDownBytes: s.Control.Down,
	}
	for _, p := range c.Match {
		out.Match = append(out.Match, p.String())
	}
	for _, w := range c.Schedule {
		out.Schedule = append(out.Schedule, w.String())
	}
	if s.Closed != nil {
		out.Reason, out.Until = s.Closed.Error(), s.Closed.Until
	}
	return out
}

// setLink changes a link or makes it, at once and in the configuration.
func (n *Node) setLink(_ context.Context, req api.LinkRequest, _ *api.Writer) (api.Link, error) {
	c, err := n.configure(func(c *Config) error {
		i := slices.IndexFunc(c.Links, func(l links.Config) bool { return l.Name == req.Name })
		if i < 0 {
			i = len(c.Links)
			c.Links = append(c.Links, links.Config{Name: req.Name})
		}
		var err error
		c.Links[i], err = links.Edit(c.Links[i], req.Settings)
		return err
	})
	if err != nil {
		return api.Link{}, err
	}
	if err := n.useLinks(c.Links); err != nil {
		return api.Link{}, err
	}
	for _, l := range n.paths.set.All() {
		if l.Name() == req.Name {
			return describeLink(l.Status()), nil
		}
	}
	return api.Link{}, fmt.Errorf("link %s was taken away meanwhile", req.Name)
}

// removeLink takes a link away; of the default one it takes the settings.
func (n *Node) removeLink(ctx context.Context, req api.LinkRequest, out *api.Writer) ([]api.Link, error) {
	c, err := n.configure(func(c *Config) error {
		before := len(c.Links)
		c.Links = slices.DeleteFunc(c.Links, func(l links.Config) bool { return l.Name == req.Name })
		if len(c.Links) == before {
			return fmt.Errorf("no link %.40q is set: see `dunlin link ls`", req.Name)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := n.useLinks(c.Links); err != nil {
		return nil, err
	}
	return n.listLinks(ctx, none{}, out)
}

func (n *Node) useLinks(list []links.Config) error {
	err := n.paths.set.Replace(list)
	n.board.touch()
	return err
}

// setPriority gives models a priority; 0 takes it away.
func (n *Node) setPriority(models []string, priority int) error {
	c, err := n.configure(func(c *Config) error {
		c.Priority = maps.Clone(c.Priority)
		if c.Priority == nil {
			c.Priority = make(map[string]int)
		}
		for _, m := range models {
			if c.Priority[m] = priority; priority == 0 {
				delete(c.Priority, m)
			}
		}
		return nil
	})
	if err == nil {
		n.paths.prioritise(c.Priority)
	}
	return err
}

// knownRelease returns what the publisher signed: the version asked for, or the
// newest.
func (n *Node) knownRelease(req api.ModelRequest) (trust.Release, error) {
	if err := req.Model.Validate(); err != nil {
		return trust.Release{}, err
	}
	r, ok := n.trust.Latest(req.Model)
	if req.Version != "" {
		r, ok = n.trust.Release(req.Model, req.Version)
	}
	if !ok {
		return r, api.Errorf(api.CodeUnreachable, "no release %s was heard of; is its publisher pinned (`dunlin trust ls`) and a peer at hand (`dunlin peers`)?",
			nameOf(req.Model, req.Version))
	}
	return r, nil
}

func nameOf(m manifest.Model, version string) string {
	if version == "" {
		return string(m)
	}
	return string(m) + "@" + version
}

// explainWait says in a model's state what its newest release waits for on the
// links at hand.
func (n *Node) explainWait(m *api.Model) {
	waiting := m.State == api.StateWaiting || m.State == api.StateFetching && n.paths.still(m.Latest.Manifest)
	if !waiting {
		return
	}
	if reason, _ := n.waits(m.Latest.Manifest); reason != "" {
		m.State, m.Reason = api.StateWaiting, reason
	}
}

// openPaths opens the links of the home.
func openPaths(dir string, c Config, n *Node) (*paths, error) {
	set, err := links.Open(links.Options{Path: ledgerPath(dir), Links: c.Links, Class: links.Class(c.Preset), Logger: n.log})
	if err != nil {
		return nil, err
	}
	allowed, err := loadAllowances(dir)
	if err != nil {
		return nil, errors.Join(err, set.Close())
	}
	return newPaths(set, allowed, c.Priority), nil
}
