package transfer

import (
	"fmt"
	"slices"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// DeltaProtocolID names the protocol of deltas on libp2p.
const DeltaProtocolID = "/dunlin/delta/2"

// Bounds of the messages of a delta session.
const (
	// MaxBases bounds the files against which a delta may be asked for.
	MaxBases      = 16
	maxDeltaPiece = 64 << 10 // bytes of a delta behind one message
	maxDeltaBytes = manifest.MaxFileBytes + manifest.MaxFileBytes/8
)

// deltaMessage is one of its fields; the key names which.
type deltaMessage struct {
	Ask   *deltaAsk   `cbor:"ask,omitempty"`
	Wait  *deltaWait  `cbor:"wait,omitempty"`
	Offer *deltaOffer `cbor:"offer,omitempty"`
	Take  *deltaTake  `cbor:"take,omitempty"`
	Data  *deltaData  `cbor:"data,omitempty"`
	End   *deltaEnd   `cbor:"end,omitempty"`
	Fault *deltaFault `cbor:"fault,omitempty"`
}

// deltaAsk opens a session: the client wants File and holds Bases whole, the
// best one first.
type deltaAsk struct {
	Version int               `cbor:"version"` // of the protocol
	Format  uint32            `cbor:"format"`  // of deltas that the client reads
	File    manifest.FileID   `cbor:"file"`
	Bases   []manifest.FileID `cbor:"bases"`
	Link    Link              `cbor:"link"`
	Effort  codec.Effort      `cbor:"effort"` // Light: no delta, only say when the file is held
	Part    *deltaPart        `cbor:"part,omitempty"`
	Direct  bool              `cbor:"direct,omitempty"` // the client does not get it elsewhere
}

// deltaPart is what the client has of a delta: its first Bytes bytes, which
// have the digest Sum.
type deltaPart struct {
	Basis  uint32          `cbor:"basis"` // index into Bases
	Effort codec.Effort    `cbor:"effort"`
	Bytes  uint64          `cbor:"bytes"`
	Sum    manifest.Digest `cbor:"sum"`
}

// waitReason says what the server waits for.
type waitReason string

const (
	waitNotHeld   waitReason = "not_held"  // the file: it holds nothing of it
	waitComing    waitReason = "coming"    // the file: it is being fetched
	waitCoding    waitReason = "coding"    // the delta, which is being coded
	waitRelay     waitReason = "relay"     // the delta, which is to come from another peer
	waitElsewhere waitReason = "elsewhere" // nothing: Peer has the delta, or is getting it
)

// deltaWait says that the session stands and nothing can be sent yet.
type deltaWait struct {
	For   waitReason `cbor:"for"`
	Bytes uint64     `cbor:"bytes,omitempty"` // coming: what has come so far; it only tells that something comes
	Peer  []byte     `cbor:"peer,omitempty"`  // elsewhere: its ID
	Addrs [][]byte   `cbor:"addrs,omitempty"` // elsewhere: multiaddrs, where it may be reached
}

// deltaOffer says that the server has a delta or can make it.
type deltaOffer struct {
	Basis  uint32       `cbor:"basis"` // index into Bases
	Effort codec.Effort `cbor:"effort"`
	Bytes  uint64       `cbor:"bytes,omitempty"` // of the whole delta; 0 while not known
	Relay  bool         `cbor:"relay,omitempty"` // it is still arriving at the server
}

// deltaTake accepts the offer.
type deltaTake struct{}

// deltaData is followed by so many bytes of the delta. The first one of a
// session begins where the client's part ends, or at 0 if that is no part of
// this delta; each other one where the one before ended.
type deltaData struct {
	_      struct{} `cbor:",toarray"`
	Offset uint64
	Bytes  uint32
}

// deltaEnd says that the delta is complete.
type deltaEnd struct {
	Bytes uint64          `cbor:"bytes"`
	Sum   manifest.Digest `cbor:"sum"`
}

// deltaCode says why there is no delta.
type deltaCode string

const (
	deltaBusy      deltaCode = "busy"      // come back after Retry seconds
	deltaNoBasis   deltaCode = "no_basis"  // the file is held, but none of the bases
	deltaPlain     deltaCode = "plain"     // the file is held, and no delta was asked for
	deltaWorse     deltaCode = "worse"     // no delta is smaller than the file
	deltaFormat    deltaCode = "format"    // deltas of that format are not known
	deltaGone      deltaCode = "gone"      // the session ends: open a new one if need be
	deltaMalformed deltaCode = "malformed" // you broke the protocol
)

// deltaFault ends the session.
type deltaFault struct {
	Code  deltaCode `cbor:"code"`
	Retry uint32    `cbor:"retry,omitempty"` // seconds
	Text  string    `cbor:"text,omitempty"`  // for people
}

// Validate implements [manifest.Validator].
func (m *deltaMessage) Validate() error {
	n := 0
	check := func(present bool, validate func() error) error {
		if !present {
			return nil
		}
		n++
		return validate()
	}
	for _, err := range []error{
		check(m.Ask != nil, m.Ask.validate),
		check(m.Wait != nil, m.Wait.validate),
		check(m.Offer != nil, m.Offer.validate),
		check(m.Take != nil, func() error { return nil }),
		check(m.Data != nil, m.Data.validate),
		check(m.End != nil, m.End.validate),
		check(m.Fault != nil, m.Fault.validate),
	} {
		if err != nil {
			return err
		}
	}
	if n != 1 {
		return fmt.Errorf("message of %d kinds, want 1", n)
	}
	return nil
}

func (a *deltaAsk) validate() error {
	if a.Version < 1 || a.Link.rank() < 0 || a.Effort < codec.Light || a.Effort > codec.Strong {
		return fmt.Errorf("ask of version %d, link %.20q, effort %d", a.Version, a.Link, a.Effort)
	}
	if len(a.Bases) == 0 || len(a.Bases) > MaxBases {
		return fmt.Errorf("ask with %d bases, 1 to %d", len(a.Bases), MaxBases)
	}
	if slices.Contains(a.Bases, a.File) {
		return fmt.Errorf("ask for %s with itself as basis", a.File)
	}
	if p := a.Part; p != nil && (int(p.Basis) >= len(a.Bases) || !coded(p.Effort) || p.Bytes == 0 || p.Bytes > maxDeltaBytes) {
		return fmt.Errorf("part of %d bytes, effort %d, basis %d of %d", p.Bytes, p.Effort, p.Basis, len(a.Bases))
	}
	return nil
}

func (w *deltaWait) validate() error {
	switch w.For {
	case waitNotHeld, waitComing, waitCoding, waitRelay, waitElsewhere:
		return w.validateElsewhere()
	}
	return fmt.Errorf("wait for %.20q", w.For)
}

func (o *deltaOffer) validate() error {
	if o.Basis >= MaxBases || !coded(o.Effort) || o.Bytes > maxDeltaBytes {
		return fmt.Errorf("offer of %d bytes, effort %d, basis %d", o.Bytes, o.Effort, o.Basis)
	}
	return nil
}

func (d *deltaData) validate() error {
	if d.Bytes == 0 || d.Bytes > maxDeltaPiece || d.Offset > maxDeltaBytes {
		return fmt.Errorf("data of %d bytes at %d, at most %d", d.Bytes, d.Offset, maxDeltaPiece)
	}
	return nil
}

func (e *deltaEnd) validate() error {
	if e.Bytes == 0 || e.Bytes > maxDeltaBytes {
		return fmt.Errorf("delta of %d bytes", e.Bytes)
	}
	return nil
}

func (f *deltaFault) validate() error {
	if len(f.Text) > maxText || len(f.Code) > maxText {
		return fmt.Errorf("fault with a text of %d bytes, at most %d", len(f.Text), maxText)
	}
	return nil
}

// coded says whether e is an effort that deltas are made with.
func coded(e codec.Effort) bool { return e == codec.Fast || e == codec.Strong }
