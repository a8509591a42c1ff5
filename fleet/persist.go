package fleet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/internal/durable"
	"github.com/dunlin-mesh/dunlin/internal/parley"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// What lies in a table's folder.
const (
	epochName = "epoch" // decimal, the last one used
	rowsName  = "rows"  // savedTable
)

const (
	savePause    = 10 * time.Minute // between saves, so that flash lives long
	maxFileBytes = 2 * maxTableBytes
)

// savedTable is a table on disk.
type savedTable struct {
	_    struct{} `cbor:",toarray"`
	Time int64    // of the clock on the wall, in seconds since 1970
	Rows []savedRow
}

// savedRow is a row on disk; ages are in seconds.
type savedRow struct {
	_      struct{} `cbor:",toarray"`
	Age    uint32
	Off    uint32
	Via    []byte
	Group  []byte
	Inside bool
	Record []byte
}

// Validate implements manifest.Validator; what the rows hold is checked when
// they are taken.
func (s *savedTable) Validate() error {
	if len(s.Rows) > MaxRows {
		return fmt.Errorf("%d rows, at most %d", len(s.Rows), MaxRows)
	}
	return nil
}

// OpenTable reads the table that was saved in a folder, or makes an empty one.
// What cannot be read is logged and forgotten: it is only what others know as
// well, and no reason for a node to stay off. Rows come back with their ages,
// and the time that this node was off by the clock on the wall. The error wraps
// [ErrConfig].
func OpenTable(config TableConfig) (*Table, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	t := &Table{config: config, rows: make(map[rowKey]*row), groups: make(map[peer.ID]int), sources: make(map[peer.ID]*tap)}
	if err := t.load(); err != nil {
		config.Logger.Warn("what was known of the fleet is lost", slog.Any("error", err))
	}
	return t, nil
}

func (t *Table) load() error {
	data, err := readFile(filepath.Join(t.config.Dir, rowsName), maxFileBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	saved, err := decodeSaved(data)
	if err != nil {
		return err
	}
	now := time.Now()
	off := min(max(0, now.Sub(time.Unix(saved.Time, 0))), 2*MaxAge)
	for _, s := range saved.Rows {
		r, err := verify(t.config.Mesh, s.Record)
		if err != nil {
			return err
		}
		row := &row{
			key: keyOf(r.Peer), peer: r.Peer, epoch: r.Epoch, sequence: r.Sequence, data: s.Record,
			age: time.Duration(s.Age) * time.Second, off: min(time.Duration(s.Off)*time.Second+off, 2*MaxAge), arrived: now,
			via: peer.ID(s.Via), group: peer.ID(s.Group), inside: s.Inside, kind: counted,
		}
		if t.rows[row.key] == nil && t.bytes+len(row.data) <= maxTableBytes {
			t.add(row)
		}
	}
	t.saved = t.changes
	return nil
}

func decodeSaved(data []byte) (*savedTable, error) {
	saved := new(savedTable)
	if err := manifest.Unmarshal(data, saved, maxFileBytes); err != nil {
		return nil, err
	}
	return saved, saved.Validate()
}

// Save writes the table to its folder if it has changed since the last time.
func (t *Table) Save() error {
	t.forget()
	now := time.Now()
	t.mu.Lock()
	changes := t.changes
	saved := &savedTable{Time: now.Unix()}
	if changes != t.saved {
		for _, r := range t.rows {
			saved.Rows = append(saved.Rows, savedRow{
				Age: seconds(r.lived(now)), Off: seconds(r.off), Via: []byte(r.via), Group: []byte(r.group), Inside: r.inside, Record: r.data,
			})
		}
	}
	unchanged := changes == t.saved
	t.mu.Unlock()
	if unchanged {
		return nil
	}
	data, err := manifest.Marshal(saved, maxFileBytes)
	if err != nil {
		return fmt.Errorf("save the fleet: %w", err)
	}
	if err := t.write(rowsName, data); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.saved = changes
	return nil
}

func (t *Table) write(name string, data []byte) error {
	if err := durable.MkdirAll(t.config.Dir, 0o700); err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(t.config.Dir, name), data, 0o600)
}

// save saves the table and says if that failed.
func (f *Fleet) save() {
	if err := f.config.Table.Save(); err != nil {
		f.config.Logger.Warn("what is known of the fleet is not saved", slog.Any("error", err))
	}
}

// keepSaving saves the table now and then until ctx ends.
func (f *Fleet) keepSaving(ctx context.Context) error {
	for {
		if err := parley.SleepUntil(ctx, time.Now().Add(savePause), nil); err != nil {
			return err
		}
		f.save()
	}
}

// nextEpoch returns an epoch that is above beyond, above all that this table
// knows of and has used, and not below the clock's seconds since 1970. It is
// durable before it is returned, if the disk can. So epochs grow although the
// folder was lost, unless the clock went back as well; then whoever has the old
// record says so. The error says that there is no such epoch.
func (t *Table) nextEpoch(beyond uint64) (uint64, error) {
	used, err := t.usedEpoch()
	if err != nil {
		t.config.Logger.Warn("the last epoch is not known, going on from the clock", slog.Any("error", err))
	}
	if own := t.get(keyOf(t.config.Self)); own != nil && own.peer == t.config.Self {
		used = max(used, own.epoch)
	}
	const soonest, latest = 1577836800, 1 << 40 // a clock before 2020 is not set
	next := max(used, beyond) + 1
	if now := time.Now().Unix(); now > soonest && now < latest {
		next = max(next, uint64(now))
	}
	if next > maxCounter {
		return 0, fmt.Errorf("epoch %d is the last one: this node needs a new key", next-1)
	}
	if err := t.write(epochName, []byte(strconv.FormatUint(next, 10)+"\n")); err != nil {
		t.config.Logger.Warn("the epoch is not on disk: others may have to tell it to this node", slog.Any("error", err))
	}
	return next, nil
}

func (t *Table) usedEpoch() (uint64, error) {
	data, err := readFile(filepath.Join(t.config.Dir, epochName), 32)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	used, err := strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64)
	if err != nil || used > maxCounter {
		return 0, fmt.Errorf("%s says %.20q", epochName, data)
	}
	return used, nil
}

// readFile reads a file of at most limit bytes.
func readFile(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s has %d bytes, at most %d", path, info.Size(), limit)
	}
	return os.ReadFile(path)
}
