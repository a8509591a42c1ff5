package node

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	manet "github.com/multiformats/go-multiaddr/net"
)

// exchange sends a card and takes the answer.
func (c *contacts) exchange(ctx context.Context, id peer.ID) {
	ctx, cancel := context.WithTimeout(ctx, contactsTimeout)
	defer cancel()
	err := c.call(ctx, id, func(s network.Stream) error {
		if err := errors.Join(writeContacts(s, &contactsMessage{Card: c.compose(id)}), s.CloseWrite()); err != nil {
			return err
		}
		m, err := readContacts(s)
		if err != nil {
			return err
		}
		return c.take(id, s.Conn(), m)
	})
	if err != nil {
		c.f.log.Debug("peer does not tell of others", slog.String("peer", id.String()), slog.Any("error", err))
	}
	local := slices.ContainsFunc(c.f.connected(), func(v contact) bool { return v.id == id && v.local })
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.peers[id]; p != nil {
		longest := c.f.preset.telling()
		if local {
			longest = LAN.telling()
		}
		if err != nil {
			clear(p.told) // it may not have come
		}
		p.pause = min(max(4*p.pause, firstTelling), longest)
		p.busy, p.greeted, p.next = false, p.greeted || err == nil, time.Now().Add(p.pause)
		signal(c.wake)
	}
}

// call opens a stream on a connection that exists and hands it to use.
func (c *contacts) call(ctx context.Context, id peer.ID, use func(network.Stream) error) error {
	ctx = network.WithAllowLimitedConn(network.WithNoDial(ctx, "contacts"), "contacts")
	s, err := c.f.host.NewStream(ctx, id, contactsProtocol)
	if err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := s.SetDeadline(deadline); err != nil {
			return errors.Join(err, s.Reset())
		}
	}
	if err := use(s); err != nil {
		return errors.Join(err, s.Reset())
	}
	return s.Close()
}

// answer serves one stream.
func (c *contacts) answer(s network.Stream) {
	id := s.Conn().RemotePeer()
	err := func() error {
		if err := s.SetDeadline(time.Now().Add(contactsTimeout)); err != nil {
			return err
		}
		m, err := readContacts(s)
		if err != nil {
			return err
		}
		if err := c.take(id, s.Conn(), m); err != nil || m.Card == nil {
			return err
		}
		return writeContacts(s, &contactsMessage{Card: c.compose(id)})
	}()
	if err != nil {
		c.f.log.Debug("contacts", slog.String("peer", id.String()), slog.Any("error", err))
		_ = s.Reset()
		return
	}
	_ = s.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.peers[id]; p != nil && !p.greeted {
		p.greeted, p.speaks, p.next = true, true, time.Now().Add(prompt)
	}
	signal(c.wake)
}

// take believes a message as far as it goes.
func (c *contacts) take(id peer.ID, conn network.Conn, m *contactsMessage) error {
	c.mu.Lock()
	p := c.peers[id]
	allowed := p != nil
	if allowed {
		allowed, _ = p.mail.take(time.Now())
	}
	if allowed && m.Card != nil {
		p.card = &card{Gateway: m.Card.Gateway, Needy: m.Card.Needy}
	}
	c.mu.Unlock()
	switch {
	case !allowed:
		return errors.New("too many messages, or from a peer that is not identified yet")
	case m.Bye != nil:
		c.f.outside.leave(id, time.Duration(m.Bye.Seconds)*time.Second)
		return nil
	}
	source := sourceOf(conn.RemoteMultiaddr())
	ip, err := manet.ToIP(conn.RemoteMultiaddr())
	loopback := err == nil && ip.IsLoopback()
	news := false
	for _, k := range m.Card.Known {
		t, err := openRecord(k, loopback)
		if err != nil {
			return err
		}
		if elsewhere := k.Site != "" && c.f.label != "" && k.Site != c.f.label; !elsewhere && !loopback {
			// Who is told of is outside. Its private addresses may mean somebody
			// else here, and what lies on this site's networks is found there.
			t.addrs = slices.DeleteFunc(t.addrs, nearbyAddress)
		}
		if t.id != c.f.host.ID() && !c.f.discreet && c.f.book.hear(t, source, time.Now()) {
			news = true
		}
	}
	if news {
		c.f.log.Debug("heard of peers", slog.String("from", id.String()), slog.Int("records", len(m.Card.Known)))
		signal(c.f.outside.wake)
	}
	signal(c.wake)
	return nil
}

// part says good-bye and closes the connections to a peer outside.
func (c *contacts) part(ctx context.Context, id peer.ID, gateway bool) {
	c.mu.Lock()
	p := c.peers[id]
	speaks := p != nil && p.speaks
	c.mu.Unlock()
	if gateway {
		c.f.outside.leave(id, byeWait) // nobody calls what was just left, either
	}
	if speaks {
		ctx, cancel := context.WithTimeout(ctx, trimPause)
		defer cancel()
		err := c.call(ctx, id, func(s network.Stream) error {
			if err := errors.Join(writeContacts(s, &contactsMessage{Bye: &bye{Seconds: uint32(byeWait / time.Second)}}), s.CloseWrite()); err != nil {
				return err
			}
			// The peer closes its side once it has read that.
			_, err := s.Read(make([]byte, 1))
			if err == nil {
				return errContacts
			}
			return nil
		})
		if err != nil {
			c.f.log.Debug("good-bye", slog.String("peer", id.String()), slog.Any("error", err))
		}
	}
	if err := c.f.host.Network().ClosePeer(id); err != nil {
		c.f.log.Debug("leave a peer", slog.String("peer", id.String()), slog.Bool("gateway", gateway), slog.Any("error", err))
	}
}
