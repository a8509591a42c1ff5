package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// What stands in the index; numbers are big-endian, so that keys sort.
//
//	m                                        state of the index, one byte
//	r <manifest 32>                          releaseRecord
//	u <manifest 32>                          when it was last used, seconds 8
//	t <manifest 32>                          folder of a release being removed
//	n <manifest 32> <variant>/<path>         copy 8
//	c <copy 8>                               copyRecord
//	h <copy 8>                               heldCount
//	b <copy 8> <segment 4>                   bitmap of held chunks, 128 bytes
//	f <layout 32> <digests 32> <copy 8>      nothing: the copies of a FileID
//	s <sha256 32> <size 8> <copy 8>          nothing: the copies of a content
//	d <digest 16> <copy 8> <chunk 4>         place: where such a chunk lies
//
// Half a digest is enough to find a chunk, because whatever is found is
// compared with the whole digest after it was copied.
const (
	keyMeta    = 'm'
	keyRelease = 'r'
	keyUsed    = 'u'
	keyRemoved = 't'
	keyName    = 'n'
	keyCopy    = 'c'
	keyHeld    = 'h'
	keyBits    = 'b'
	keyFile    = 'f'
	keySum     = 's'
	keyDigest  = 'd'

	stateReady      = 1
	stateRebuilding = 2
)

var (
	errValue = errors.New("malformed value in the index")
	errNoKey = badger.ErrKeyNotFound
)

func key(kind byte, parts ...[]byte) []byte {
	return append([]byte{kind}, bytes.Join(parts, nil)...)
}

func uint64Bytes(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
func uint32Bytes(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

func releaseKey(kind byte, m manifest.CID) []byte {
	d := m.Digest()
	return key(kind, d[:])
}

func nameKey(m manifest.CID, variant, path string) []byte {
	return append(releaseKey(keyName, m), variant+"/"+path...)
}

func copyKey(kind byte, id uint64) []byte { return key(kind, uint64Bytes(id)) }

func bitsKey(id uint64, segment int) []byte {
	return key(keyBits, uint64Bytes(id), uint32Bytes(uint32(segment)))
}

func filePrefix(id manifest.FileID) []byte {
	layout, digests := id.Layout.Digest(), id.Digests.Digest()
	return key(keyFile, layout[:], digests[:])
}

func sumPrefix(sum manifest.Digest, size uint64) []byte {
	return key(keySum, sum[:], uint64Bytes(size))
}

func digestPrefix(d manifest.Digest) []byte { return key(keyDigest, d[:16]) }

func digestKey(d manifest.Digest, id uint64, chunk int) []byte {
	return append(digestPrefix(d), append(uint64Bytes(id), uint32Bytes(uint32(chunk))...)...)
}

// lastID returns the copy that a key ends with.
func lastID(k []byte) uint64 { return binary.BigEndian.Uint64(k[len(k)-8:]) }

// lastUint32 returns the chunk that a key ends with.
func lastUint32(k []byte) uint32 { return binary.BigEndian.Uint32(k[len(k)-4:]) }

// index is Badger, with what this package needs of it.
type index struct{ db *badger.DB }

// openIndex opens or makes the index in dir. Badger is kept small: it holds a
// few hundred kilobytes for each GiB of chunks, and a node's memory is to be
// tens of MiB. Tables are read where the system maps them, so there is no
// cache to pay for. An error wraps ErrIndex.
func openIndex(dir string, log *slog.Logger) (ix index, err error) {
	opt := badger.DefaultOptions(dir).
		WithLogger(badgerLog{log}).
		WithSyncWrites(true).       // a commit is durable when it returns
		WithDetectConflicts(false). // writers hold Store.edit or Store.bits
		WithMetricsEnabled(false).
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).
		WithMemTableSize(memTableBytes).
		WithNumMemtables(1).
		WithBaseTableSize(1 << 20).
		WithBaseLevelSize(4 << 20).
		WithNumLevelZeroTables(2).
		WithNumLevelZeroTablesStall(4).
		WithNumCompactors(2).
		WithNumGoroutines(1).
		WithValueThreshold(memTableBytes / 8). // values stay in tables
		WithValueLogFileSize(1 << 20)
	defer func() {
		// Badger panics on some damage to its files.
		if r := recover(); r != nil {
			err = fmt.Errorf("store: open %s: %w (%v)", dir, ErrIndex, r)
		}
	}()
	if err := errors.Join(removeEmptyLogs(dir), checkTables(dir, opt)); err != nil {
		return index{}, fmt.Errorf("store: open %s: %w (%w)", dir, ErrIndex, err)
	}
	db, err := badger.Open(opt)
	if err != nil {
		return index{}, fmt.Errorf("store: open %s: %w (%w)", dir, ErrIndex, err)
	}
	return index{db}, nil
}

const (
	// memTableBytes is what Badger gathers in memory before it writes a table.
	memTableBytes = 2 << 20
	// indexReserveBytes is the room that Badger needs to go on: it maps its
	// files, so a full disk would kill the process. No commit starts with less.
	indexReserveBytes = 4 * memTableBytes
)

func (ix index) close() error { return ix.db.Close() }

// get returns the value of k; errNoKey if there is none.
func (ix index) get(k []byte) (value []byte, err error) {
	err = ix.db.View(func(txn *badger.Txn) error {
		item, err := txn.Get(k)
		if err == nil {
			value, err = item.ValueCopy(nil)
		}
		return err
	})
	if err != nil && !errors.Is(err, errNoKey) {
		err = fmt.Errorf("read index: %w", err)
	}
	return value, err
}

// record reads the structured value of k into v; errNoKey if there is none.
func (ix index) record(k []byte, v manifest.Validator) error {
	value, err := ix.get(k)
	if err != nil {
		return err
	}
	if err := manifest.Decode(value, v); err != nil {
		return fmt.Errorf("index key %x: %w: %w", k, ErrIndex, err)
	}
	return nil
}

// scan calls f with each key under prefix, in order, and its value where values
// is set. Both are valid until f returns.
func (ix index) scan(prefix []byte, values bool, f func(k, v []byte) error) error {
	return ix.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: false})
		defer it.Close()
		for it.Seek(prefix); it.ValidForPrefix(prefix); it.Next() {
			item := it.Item()
			if !values {
				if err := f(item.Key(), nil); err != nil {
					return err
				}
				continue
			}
			if err := item.Value(func(v []byte) error { return f(item.Key(), v) }); err != nil {
				return err
			}
		}
		return nil
	})
}

// ids returns the copies that the keys under prefix end with, in order.
func (ix index) ids(prefix []byte) (ids []uint64, err error) {
	err = ix.scan(prefix, false, func(k, _ []byte) error {
		if len(k) == len(prefix)+8 {
			ids = append(ids, lastID(k))
		}
		return nil
	})
	return ids, err
}

// update runs f in one transaction, atomic and durable when update returns.
func (ix index) update(f func(edit) error) error {
	if err := ix.db.Update(func(txn *badger.Txn) error { return f(edit{txn}) }); err != nil {
		return fmt.Errorf("write index: %w", err)
	}
	return nil
}

// edit is a transaction that writes.
type edit struct{ txn *badger.Txn }

func (e edit) set(k, v []byte) error { return e.txn.Set(k, v) }
func (e edit) del(k []byte) error    { return e.txn.Delete(k) }

// setRecord writes a structured value.
func (e edit) setRecord(k []byte, v manifest.Validator) error {
	block, err := manifest.Encode(v)
	if err != nil {
		return err
	}
	return e.set(k, block.Data)
}

// bulk is many writes without atomicity, durable when flush returns.
func (ix index) bulk(f func(set func(k, v []byte) error, del func(k []byte) error) error) error {
	batch := ix.db.NewWriteBatch()
	defer batch.Cancel()
	err := f(batch.Set, batch.Delete)
	if err == nil {
		err = batch.Flush()
	}
	if err != nil {
		return fmt.Errorf("write index: %w", err)
	}
	return nil
}

// badgerLog passes on what is wrong and drops the rest.
type badgerLog struct{ log *slog.Logger }

func (l badgerLog) Errorf(format string, args ...any) {
	l.log.Error("index", slog.String("detail", fmt.Sprintf(format, args...)))
}

func (l badgerLog) Warningf(format string, args ...any) {
	l.log.Warn("index", slog.String("detail", fmt.Sprintf(format, args...)))
}
func (badgerLog) Infof(string, ...any)  {}
func (badgerLog) Debugf(string, ...any) {}
