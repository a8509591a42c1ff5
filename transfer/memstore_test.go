package transfer

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/dunlin-mesh/dunlin/manifest"
)

var errNotHeld = errors.New("not held")

// memStore is a Store in memory that verifies as the real one does.
type memStore struct {
	mu     sync.Mutex
	blocks map[manifest.CID][]byte
	chunks map[manifest.FileID]map[int][]byte
	puts   int // PutChunk calls
	again  int // of those, for chunks that were here

	putErr func(puts int) error // if not nil, asked before each PutChunk
}

func newMemStore() *memStore {
	return &memStore{blocks: map[manifest.CID][]byte{}, chunks: map[manifest.FileID]map[int][]byte{}}
}

func (s *memStore) Block(cid manifest.CID) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, ok := s.blocks[cid]; ok {
		return b, nil
	}
	return nil, errNotHeld
}

func (s *memStore) PutBlock(b manifest.Block) error {
	if err := b.CID.Verify(b.Data); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blocks[b.CID] = b.Data
	return nil
}

func (s *memStore) Held(id manifest.FileID) (held manifest.Ranges, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.chunks[id] {
		held = held.Add(i)
	}
	return held, nil
}

func (s *memStore) Chunk(ctx context.Context, id manifest.FileID, i int, buf []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c, ok := s.chunks[id][i]
	if !ok {
		return nil, errNotHeld
	}
	return append(buf[:0], c...), nil
}

func (s *memStore) PutChunk(_ context.Context, id manifest.FileID, i int, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.puts++
	if s.putErr != nil {
		if err := s.putErr(s.puts); err != nil {
			return err
		}
	}
	if sum, err := s.digest(id, i); err != nil || sum != manifest.SumDigest(data) {
		return errors.Join(manifest.ErrContent, err)
	}
	if s.chunks[id] == nil {
		s.chunks[id] = map[int][]byte{}
	}
	if s.chunks[id][i] != nil {
		s.again++
	}
	s.chunks[id][i] = append([]byte(nil), data...)
	return nil
}

// digest returns what chunk i of the file must hash to. The caller holds mu.
func (s *memStore) digest(id manifest.FileID, i int) (manifest.Digest, error) {
	get := func(c manifest.CID) ([]byte, error) {
		if data, ok := s.blocks[c]; ok {
			return data, nil
		}
		return nil, errNotHeld
	}
	data, err := get(id.Layout)
	if err != nil {
		return manifest.Digest{}, err
	}
	var l manifest.Layout
	if err := manifest.Decode(data, &l); err != nil {
		return manifest.Digest{}, err
	}
	digests, err := manifest.LoadDigests(id.Digests, l.Chunks().Len(), get)
	if err != nil {
		return manifest.Digest{}, err
	}
	return digests[i], nil
}

func (s *memStore) Flush(context.Context) error { return nil }

// release is a release with one or more files, and all its bytes.
type release struct {
	manifest manifest.Block
	files    []manifest.File
	blocks   []manifest.Block // without the manifest
	cuts     []manifest.Chunks
	data     [][]byte
}

// makeRelease makes files of the sizes given, random but the same each time.
func makeRelease(tb testing.TB, seed uint64, sizes ...int) *release {
	tb.Helper()
	rng := rand.NewChaCha8([32]byte{byte(seed)})
	var files [][]byte
	for _, size := range sizes {
		data := make([]byte, size)
		_, _ = rng.Read(data)
		files = append(files, data)
	}
	return releaseOf(tb, files...)
}

// releaseOf makes a release of files that are arrays of f32.
func releaseOf(tb testing.TB, files ...[]byte) *release {
	tb.Helper()
	r := &release{}
	m := &manifest.Manifest{Schema: 1, Model: "acme/vad", Variants: []manifest.Variant{{Name: "default", Format: "array"}}}
	for n, data := range files {
		size := len(data)
		l := &manifest.Layout{Schema: 1, Format: "array", Size: uint64(size), Chunk: manifest.MinChunkBytes}
		if size >= 4 {
			l.Tensors = []manifest.Tensor{{Name: "w", DType: "f32", Shape: []uint64{uint64(size / 4)}, Length: uint64(size / 4 * 4)}}
		}
		lb := encode(tb, l)
		var digests []manifest.Digest
		chunks := l.Chunks()
		for i := range chunks.Len() {
			off, length := chunks.At(i)
			digests = append(digests, manifest.SumDigest(data[off:][:length]))
		}
		root, blocks, err := manifest.BuildDigests(digests)
		if err != nil {
			tb.Fatal(err)
		}
		f := manifest.File{Path: string(rune('a'+n)) + ".bin", Size: uint64(size), SHA256: manifest.SumDigest(data), Layout: lb.CID, Digests: root}
		r.files = append(r.files, f)
		r.cuts = append(r.cuts, chunks)
		r.data = append(r.data, data)
		r.blocks = append(append(r.blocks, lb), blocks...)
	}
	m.Variants[0].Files = r.files
	r.manifest = encode(tb, m)
	return r
}

func encode(tb testing.TB, v manifest.Validator) manifest.Block {
	tb.Helper()
	b, err := manifest.Encode(v)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// chunk returns chunk i of file n.
func (r *release) chunk(n, i int) []byte {
	off, length := r.cuts[n].At(i)
	return r.data[n][off:][:length]
}

func (r *release) chunkCount(n int) int { return r.cuts[n].Len() }

// size returns the bytes of all files.
func (r *release) size() (n uint64) {
	for _, d := range r.data {
		n += uint64(len(d))
	}
	return n
}

// seed puts blocks, and the chunks that keep picks (nil: all), into s.
func (r *release) seed(s *memStore, keep func(i int) bool) *memStore {
	r.seedBlocks(s)
	for n, f := range r.files {
		for i := range r.chunkCount(n) {
			if keep == nil || keep(i) {
				_ = s.PutChunk(context.Background(), f.ID(), i, r.chunk(n, i))
			}
		}
	}
	return s
}

func (r *release) seedBlocks(s *memStore) *memStore {
	for _, b := range append(r.blocks, r.manifest) {
		_ = s.PutBlock(b)
	}
	return s
}

// check fails the test unless s holds all of the release, right.
func (r *release) check(tb testing.TB, s *memStore) {
	tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, f := range r.files {
		if got := len(s.chunks[f.ID()]); got != r.chunkCount(n) {
			tb.Fatalf("file %d: %d of %d chunks", n, got, r.chunkCount(n))
		}
		for i, c := range s.chunks[f.ID()] {
			if string(c) != string(r.chunk(n, i)) {
				tb.Fatalf("file %d: chunk %d has wrong bytes", n, i)
			}
		}
	}
}
