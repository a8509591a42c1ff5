package lab

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
)

// Lab is a running lab. Safe for concurrent use.
type Lab struct {
	id       string   // part of all its namespaces' names
	lock     *os.File // held as long as this process lives
	counters *os.File // interfaces of the core

	mu    sync.Mutex // owns what follows, and serialises changes
	sites []*site
}

type site struct {
	Site
	dark  bool
	next  int // suffix of the next node's address and interface
	nodes []*Node
}

// New builds a lab. The caller closes it. First it removes what runs that were
// killed left behind. An error says what is missing if it is more than a
// failure, see [Available].
func New(ctx context.Context, c Config) (*Lab, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	id, err := newID(ctx)
	if err != nil {
		return nil, err
	}
	l := &Lab{id: id}
	if err := l.build(ctx, c); err != nil {
		return nil, errors.Join(fmt.Errorf("build lab: %w", err), l.Close())
	}
	return l, nil
}

// newID draws the id of a new lab, after it has removed what runs that were
// killed left behind. An error wraps [ErrUnavailable] where there can be none.
func newID(ctx context.Context) (string, error) {
	if err := Available(); err != nil {
		return "", err
	}
	if err := sweep(ctx); err != nil {
		return "", err
	}
	var id [3]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:]), nil
}

func (l *Lab) build(ctx context.Context, c Config) (err error) {
	if l.lock, err = claim(l.id); err != nil {
		return err
	}
	if err := addNamespace(ctx, l.core()); err != nil {
		return err
	}
	for i, s := range c.Sites {
		l.sites = append(l.sites, &site{Site: s, next: firstNode})
		if err := l.addSite(ctx, i); err != nil {
			return fmt.Errorf("site %d: %w", i, err)
		}
		for range s.Nodes {
			n := &Node{lab: l, namespace: fmt.Sprintf("%s-s%dn%d", l.prefix(), i, len(l.sites[i].nodes))}
			if err := addNamespace(ctx, n.namespace); err != nil {
				return err
			}
			if err := l.join(ctx, n, i); err != nil {
				return fmt.Errorf("site %d: %w", i, err)
			}
		}
	}
	l.counters, err = openCounters(l.core())
	return err
}

// Close removes the lab, and ends every process that still runs in it.
func (l *Lab) Close() error {
	ctx := context.Background() // it has to be done
	l.mu.Lock()
	defer l.mu.Unlock()
	err := remove(ctx, l.id)
	if l.counters != nil {
		err = errors.Join(err, l.counters.Close())
	}
	if l.lock != nil {
		err = errors.Join(err, release(l.lock))
	}
	if err != nil {
		return fmt.Errorf("remove lab: %w", err)
	}
	return nil
}

// Sites returns how many sites there are.
func (l *Lab) Sites() int { return len(l.sites) }

// Nodes returns the nodes that are at a site now, in the order in which they
// came.
func (l *Lab) Nodes(site int) []*Node {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]*Node(nil), l.sites[site].nodes...)
}

// Node returns the nth node that is at a site now.
func (l *Lab) Node(site, n int) *Node { return l.Nodes(site)[n] }

// Node is one place for processes: a namespace with one interface, eth0.
type Node struct {
	lab       *Lab
	namespace string

	// owned by lab.mu
	site    int
	address netip.Addr
	port    string // its interface on the router's LAN
}

// Exec returns the words to put in front of a command so that it runs at the
// node.
func (n *Node) Exec() []string { return []string{"ip", "netns", "exec", n.namespace} }

// In calls f on a thread that is at the node; sockets that f makes stay there.
// f must not start goroutines that make some.
func (n *Node) In(f func() error) error { return within(n.namespace, f) }

// Address returns the node's address on its site's subnet.
func (n *Node) Address() netip.Addr {
	n.lab.mu.Lock()
	defer n.lab.mu.Unlock()
	return n.address
}

// Site returns which site the node is at.
func (n *Node) Site() int {
	n.lab.mu.Lock()
	defer n.lab.mu.Unlock()
	return n.site
}

// namePrefix begins the names of all labs' namespaces.
const namePrefix = "dl-"

func (l *Lab) prefix() string         { return namePrefix + l.id }
func (l *Lab) core() string           { return l.prefix() + "-core" }
func (l *Lab) router(site int) string { return fmt.Sprintf("%s-r%d", l.prefix(), site) }
