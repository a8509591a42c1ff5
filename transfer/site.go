package transfer

import (
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Site knows who is near, and shares out among those what is to be fetched from
// outside. Safe for concurrent use.
type Site interface {
	// Local says whether the connection stays inside the site. It is cheap.
	Local(network.Conn) bool
	// Join tells the members of the site that this node is getting the release,
	// until the errand is left.
	Join(release manifest.CID) Errand
}

// Errand is one release that this node is getting. Safe for concurrent use.
type Errand interface {
	// Turn says what to do now, and gives a channel that is closed at the next
	// change.
	Turn() (Turn, <-chan struct{})
	// Came notes how many bytes have come from outside so far, which renews the
	// turn, and how many are still missing.
	Came(bytes, missing uint64)
	// Leave ends the errand, done or not.
	Leave()
}

// Turn is what a node is to do about a release.
type Turn struct {
	// Outside says that this node may ask peers outside of its site.
	Outside bool
	// Sharers are the members of the site that fetch from outside, this node
	// among them if Outside: chunks are shared out over them.
	Sharers []peer.ID
	// Isolated says that no member of the site has contact with the outside:
	// there is nothing to take turns at.
	Isolated bool
}
