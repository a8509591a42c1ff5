package site

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"time"
)

func (l *link) ping() error {
	nonce := make([]byte, nonceBytes)
	_, _ = rand.Read(nonce) // never fails, see crypto/rand
	l.mu.Lock()
	l.nonce, l.sent = nonce, time.Now()
	l.pings++
	l.mu.Unlock()
	return l.say(&message{Ping: nonce})
}

// measured deals with the answer to a ping.
func (l *link) measured(nonce []byte) error {
	l.mu.Lock()
	matches, took, pings := bytes.Equal(nonce, l.nonce), time.Since(l.sent), l.pings
	l.nonce = nil
	l.mu.Unlock()
	switch {
	case !matches:
		return fmt.Errorf("%w: answer to no ping", ErrProtocol)
	case took <= maxRTT:
		l.near = true
		l.s.vetoes.lift(l.peer)
		if l.state != nil {
			l.admit(l.state)
			l.state = nil
		}
		return nil
	case pings < maxPings:
		return l.ping()
	}
	l.s.vetoes.add(l.peer, time.Now())
	_ = l.say(&message{Far: true}) // the stream ends in any case
	return errFar
}
