package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Places are network namespaces with nothing between them: their maker lays the
// wires and gives the addresses, to build what a [Lab] is not, such as two
// machines on one cable, or behind NAT. They have IPv6, forward packets, and no
// route; loopback is up. Safe for concurrent use.
type Places struct {
	id   string
	lock *os.File // held as long as this process lives
}

// NewPlaces makes a namespace for each name (letters and digits). The caller
// closes them. An error wraps [ErrUnavailable] where none can be made.
func NewPlaces(ctx context.Context, names ...string) (*Places, error) {
	id, err := newID(ctx)
	if err != nil {
		return nil, err
	}
	p := &Places{id: id}
	if err := p.build(ctx, names); err != nil {
		return nil, errors.Join(fmt.Errorf("build places: %w", err), p.Close())
	}
	return p, nil
}

func (p *Places) build(ctx context.Context, names []string) (err error) {
	if p.lock, err = claim(p.id); err != nil {
		return err
	}
	for _, name := range names {
		if err := addNamespace(ctx, p.Namespace(name)); err != nil {
			return err
		}
		if err := within(p.Namespace(name), enableIP6); err != nil {
			return err
		}
	}
	return nil
}

// Close removes the places, and ends every process that still runs in one.
func (p *Places) Close() error {
	err := remove(context.Background(), p.id) // it has to be done
	if p.lock != nil {
		err = errors.Join(err, release(p.lock))
	}
	if err != nil {
		return fmt.Errorf("remove places: %w", err)
	}
	return nil
}

// Namespace returns the name of a place's namespace, for ip-link(8).
func (p *Places) Namespace(name string) string { return namePrefix + p.id + "-" + name }

// Exec returns the words to put in front of a command so that it runs at a place.
func (p *Places) Exec(name string) []string {
	return []string{"ip", "netns", "exec", p.Namespace(name)}
}

// In calls f on a thread that is at a place; see [Node.In].
func (p *Places) In(name string, f func() error) error { return within(p.Namespace(name), f) }

// IP runs commands of ip(8) at a place, and stops at the first that fails.
func (p *Places) IP(ctx context.Context, name string, lines ...string) error {
	return ip(ctx, p.Namespace(name), lines...)
}

// Filter loads a script of nft(8) at a place. An error wraps [ErrUnavailable]
// where the program is missing, or the kernel knows nothing of a kind that the
// script uses.
func (p *Places) Filter(ctx context.Context, name, script string) error {
	if _, err := exec.LookPath("nft"); err != nil {
		return fmt.Errorf("%w: %w (install nftables)", ErrUnavailable, err)
	}
	words := append(p.Exec(name), "nft", "-f", "-")
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		err = fmt.Errorf("nft: %w: %s", err, strings.TrimSpace(string(out)))
		if strings.Contains(string(out), "not supported") {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		return err
	}
	return nil
}
