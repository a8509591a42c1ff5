package store

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// blockSyncers is how many block files are synced at a time: file systems with
// a journal then commit them together.
const blockSyncers = 16

// blockName spreads blocks over 256 folders by the last byte of their digest.
func blockName(c manifest.CID) string {
	d := c.Digest()
	return fmt.Sprintf("%s/%02x/%s", blocksDir, d[len(d)-1], c)
}

// PutBlock stores a block under its CID, which is checked first; an error about
// that wraps manifest.ErrContent. A block held already costs one read. The
// block may be lost by a power cut until Begin or Adopt of a release that
// refers to it returns. Errors: ErrFull.
func (s *Store) PutBlock(b manifest.Block) error {
	if len(b.Data) > manifest.MaxBlockBytes {
		return fmt.Errorf("store: block %s of %d bytes, at most %d: %w", b.CID, len(b.Data), manifest.MaxBlockBytes, manifest.ErrFormat)
	}
	if !b.CID.Defined() {
		return fmt.Errorf("store: block without a CID: %w", manifest.ErrCID)
	}
	if err := b.CID.Verify(b.Data); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.putBlock(b)
}

func (s *Store) putBlock(b manifest.Block) error {
	name := blockName(b.CID)
	s.blocks.Lock()
	err := s.touchBlock(b.CID) // from here GC leaves it alone
	s.blocks.Unlock()
	if err == nil {
		if _, err = s.readBlock(b.CID); err == nil {
			return nil
		}
	}
	if err := s.checkFree(uint64(len(b.Data))); err != nil {
		return fmt.Errorf("store: put block %s: %w", b.CID, err)
	}
	if err := s.dir.mkdirs(path.Dir(name)); err != nil {
		return fmt.Errorf("store: put block %s: %w", b.CID, full(err))
	}
	if err := s.dir.put(name, b.Data, blockPerm, false); err != nil {
		return fmt.Errorf("store: put block %s: %w", b.CID, full(err))
	}
	return nil
}

// Block returns a block, compared with its CID; the caller owns the bytes. A
// block that rotted is removed. Errors: ErrNotHeld, with ErrCorrupt if it was
// here and rotted.
func (s *Store) Block(c manifest.CID) ([]byte, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	data, err := s.readBlock(c)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return data, nil
}

func (s *Store) readBlock(c manifest.CID) ([]byte, error) {
	if !c.Defined() {
		return nil, fmt.Errorf("block without a CID: %w", ErrNotHeld)
	}
	name := blockName(c)
	data, err := s.dir.readFile(name, manifest.MaxBlockBytes)
	if errors.Is(err, fs.ErrNotExist) {
		s.manifests.drop(c)
		return nil, fmt.Errorf("block %s: %w", c, ErrNotHeld)
	}
	if err == nil {
		err = c.Verify(data)
	} else if !rotten(err) && !errors.Is(err, fs.ErrInvalid) {
		return nil, fmt.Errorf("block %s: %w", c, err)
	}
	if err != nil {
		s.manifests.drop(c)
		s.log.Warn("removed a rotten block", slog.String("block", c.String()), slog.Any("err", err))
		if err := s.dir.root.RemoveAll(name); err != nil {
			return nil, fmt.Errorf("block %s: %w: %w", c, ErrCorrupt, err)
		}
		return nil, fmt.Errorf("block %s: %w, %w", c, ErrNotHeld, ErrCorrupt)
	}
	return data, nil
}

// structured reads a dag-cbor block into v and returns its length.
func (s *Store) structured(c manifest.CID, v manifest.Validator) (int, error) {
	data, err := s.readBlock(c)
	if err != nil {
		return 0, err
	}
	if err := manifest.Decode(data, v); err != nil {
		return 0, fmt.Errorf("block %s: %w", c, err)
	}
	return len(data), nil
}

// touchBlock makes a block look new, so that GC leaves it alone for a while; a
// GC under way does in any case. Callers hold blocks.
func (s *Store) touchBlock(c manifest.CID) error {
	if s.sweeping != nil {
		s.sweeping[blockName(c)] = true
	}
	return s.dir.root.Chtimes(blockName(c), time.Time{}, s.cfg.Now())
}

// syncBlocks makes blocks durable that a release is about to refer to, and
// keeps GC off them from now on. A block that is gone is ErrNotHeld.
func (s *Store) syncBlocks(cids []manifest.CID) error {
	folders := make(map[string]bool)
	for _, c := range cids {
		s.blocks.Lock()
		err := s.touchBlock(c)
		s.blocks.Unlock()
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("block %s: %w", c, ErrNotHeld)
		}
		if err != nil {
			return err
		}
		folders[path.Dir(blockName(c))] = true
	}
	var group errgroup.Group
	group.SetLimit(blockSyncers)
	for _, c := range cids {
		group.Go(func() error {
			f, err := s.dir.open(blockName(c), os.O_RDONLY)
			if errors.Is(err, fs.ErrNotExist) {
				err = fmt.Errorf("block %s: %w", c, ErrNotHeld)
			}
			if err != nil {
				return err
			}
			return errors.Join(f.Sync(), f.Close())
		})
	}
	for name := range folders {
		group.Go(func() error { return s.dir.sync(name) })
	}
	return group.Wait()
}
