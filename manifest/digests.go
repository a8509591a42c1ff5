package manifest

import "fmt"

// Fanout is how many digests a leaf of a digest tree holds, and how many
// children an inner node has. An update that touches one chunk costs one leaf
// (2 KiB at most) and one node a level.
const Fanout = 64

// DigestNode is a block of a digest tree: either a leaf (Digests) or an inner
// node (Links). Which one it must be follows from the number of chunks below
// it, so a tree has exactly one form; see [BuildDigests].
type DigestNode struct {
	// Digests are the chunk digests below a leaf, 32 bytes each, in order.
	Digests []byte `cbor:"digests,omitempty"`
	// Links name the children of an inner node, in order.
	Links []CID `cbor:"links,omitempty"`
}

// Validate checks bounds: at most [Fanout] entries, of one kind.
func (n *DigestNode) Validate() error {
	const width = len(Digest{})
	if len(n.Digests)%width != 0 || len(n.Digests) > Fanout*width || len(n.Links) > Fanout {
		return fmt.Errorf("digest node of %d bytes and %d links", len(n.Digests), len(n.Links))
	}
	if len(n.Digests) > 0 && len(n.Links) > 0 {
		return fmt.Errorf("digest node with both digests and links")
	}
	for _, link := range n.Links {
		if link.Codec() != DagCBOR {
			return fmt.Errorf("digest node links to %s, want a dag-cbor block", link)
		}
	}
	return nil
}

// Subtree is a part of a digest tree: the block that is its root, and the
// chunks below it.
type Subtree struct {
	CID   CID
	First int // index of the first chunk below
	Count int // number of chunks below
}

// BuildDigests makes the digest tree of a file:
//
//	up to Fanout chunks:  one leaf
//	more:                 an inner node whose children each hold the largest
//	                      power of Fanout below the number of chunks; the last
//	                      child holds the rest
//
// It returns the root and all blocks, children before parents.
func BuildDigests(digests []Digest) (root CID, blocks []Block, err error) {
	node := &DigestNode{}
	if len(digests) <= Fanout {
		for i := range digests {
			node.Digests = append(node.Digests, digests[i][:]...)
		}
	} else {
		for at, span := 0, span(len(digests)); at < len(digests); at += span {
			link, below, err := BuildDigests(digests[at:min(at+span, len(digests))])
			if err != nil {
				return CID{}, nil, err
			}
			node.Links = append(node.Links, link)
			blocks = append(blocks, below...)
		}
	}
	block, err := Encode(node)
	if err != nil {
		return CID{}, nil, err
	}
	return block.CID, append(blocks, block), nil
}

// span returns the number of chunks below each child of an inner node.
func span(count int) int {
	s := Fanout
	for s*Fanout < count {
		s *= Fanout
	}
	return s
}

// DecodeDigests reads the block of subtree at: a leaf's digests, or the
// children of an inner node. A block whose form does not fit at.Count is
// refused; the error wraps [ErrFormat]. It does not check the CID.
func DecodeDigests(at Subtree, data []byte) (digests []Digest, children []Subtree, err error) {
	var node DigestNode
	if err := Decode(data, &node); err != nil {
		return nil, nil, err
	}
	if at.Count <= Fanout {
		if len(node.Links) > 0 || len(node.Digests) != at.Count*len(Digest{}) {
			return nil, nil, fmt.Errorf("digest leaf: %w: %d bytes for %d chunks", ErrFormat, len(node.Digests), at.Count)
		}
		digests = make([]Digest, at.Count)
		for i := range digests {
			copy(digests[i][:], node.Digests[i*len(Digest{}):])
		}
		return digests, nil, nil
	}
	s := span(at.Count)
	if len(node.Links) != (at.Count+s-1)/s {
		return nil, nil, fmt.Errorf("digest node: %w: %d links for %d chunks", ErrFormat, len(node.Links), at.Count)
	}
	children = make([]Subtree, len(node.Links))
	for i, link := range node.Links {
		children[i] = Subtree{CID: link, First: at.First + i*s, Count: min(s, at.Count-i*s)}
	}
	return nil, children, nil
}

// LoadDigests reads a whole digest tree through get, which returns the bytes
// of a block that it has verified. It takes 32 bytes a chunk.
func LoadDigests(root CID, count int, get func(CID) ([]byte, error)) ([]Digest, error) {
	return appendDigests(make([]Digest, 0, min(count, 1<<16)), Subtree{CID: root, Count: count}, get)
}

func appendDigests(to []Digest, at Subtree, get func(CID) ([]byte, error)) ([]Digest, error) {
	data, err := get(at.CID)
	if err != nil {
		return nil, fmt.Errorf("digest block %s: %w", at.CID, err)
	}
	digests, children, err := DecodeDigests(at, data)
	if err != nil {
		return nil, fmt.Errorf("digest block %s: %w", at.CID, err)
	}
	to = append(to, digests...)
	for _, child := range children {
		if to, err = appendDigests(to, child, get); err != nil {
			return nil, err
		}
	}
	return to, nil
}
