package links

import "log/slog"

// ConnBytes is what a connection costs beside what its streams carry, both ways
// together: TCP's and the security protocol's handshakes, negotiation of the
// multiplexer, and its end. It is an estimate: Noise takes about 1 kB less than
// TLS, and QUIC, which pads its first packets, takes more than either.
const ConnBytes = 3000

// Traffic is control traffic that passed in one direction.
type Traffic struct {
	Bytes   int64 // on streams
	Packets int64 // estimated; see [Link.Charge]
	Conns   int64 // connections that began; to be told of one direction only
}

// Wire estimates what it is on the wire: Bytes, 100 for each packet, and
// [ConnBytes] for each connection.
func (t Traffic) Wire() int64 { return t.Bytes + t.Packets*headerBytes + t.Conns*ConnBytes }

// Packets returns in how many packets at least n bytes travel.
func Packets(n int64) int64 { return (n + packetBytes - 1) / packetBytes }

// Charge counts control traffic that has passed: in the ledger, against the
// budgets, and against the rate, so that data waits for it. It refuses nothing.
// It may take as long as a durable write of the ledger; call it seldom, with
// what came together.
func (l *Link) Charge(t Traffic, d Direction) {
	cost := t.Wire()
	if cost <= 0 {
		return
	}
	c := l.Config()
	err := l.set.ledger.charge(c.Name, cost, int64(c.Day), int64(c.Month))
	way, rate := 0, &l.down
	if d == Up {
		way, rate = 1, &l.up
	}
	l.total[way].Add(cost)
	l.control[way].Add(cost)
	rate.take(int(cost))
	if err != nil {
		l.set.log.Warn("control traffic of a link is not written down", slog.String("link", c.Name), slog.Any("error", err))
	}
}
