package trust

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/durable"
)

// stateMagic starts every state file; the sha256 of the rest follows, then the
// rest, canonical dag-cbor of a state.
const stateMagic = "dunlin trust state 1\n"

// maxStateBytes bounds a state file: all metadata and all memories.
const maxStateBytes = MaxUpdateBytes + (32 << 20)

// state is a view as it is kept on disk.
type state struct {
	Publisher Fingerprint   `cbor:"publisher"`
	Name      string        `cbor:"name"`
	Roots     [][]byte      `cbor:"roots"`
	Timestamp []byte        `cbor:"timestamp"`
	Snapshot  []byte        `cbor:"snapshot"`
	Targets   []byte        `cbor:"targets"`
	Roles     []stateRole   `cbor:"roles"`
	Memories  []stateMemory `cbor:"memories"`
	Clock     int64         `cbor:"clock"`  // Unix seconds, 0 for none
	Signed    int64         `cbor:"signed"` // likewise
	Seat      string        `cbor:"seat,omitempty"`
}

type stateRole struct {
	Name  string `cbor:"name"`
	Data  []byte `cbor:"data"`
	Since int64  `cbor:"since"`
}

type stateMemory struct {
	Model   string   `cbor:"model"`
	MinSafe uint64   `cbor:"min_safe"`
	Newest  uint64   `cbor:"newest"`
	Records []record `cbor:"records"`
}

// save writes v to path: one file, replaced whole. A crash at any instruction
// leaves the old file or the new one. The error wraps ErrState.
func (v *view) save(path string) error {
	s := state{Publisher: v.publisher, Name: v.name, Roots: v.roots, Clock: toUnix(v.clock), Signed: toUnix(v.signed), Seat: v.seat}
	if v.timestamp != nil {
		s.Timestamp, s.Snapshot, s.Targets = v.timestamp.data, v.snapshot.data, v.targets.data
	}
	for _, model := range slices.Sorted(maps.Keys(v.roles)) {
		role := v.roles[model]
		s.Roles = append(s.Roles, stateRole{Name: roleName(model), Data: role.data, Since: role.since})
	}
	for _, model := range slices.Sorted(maps.Keys(v.memories)) {
		m := v.memories[model]
		s.Memories = append(s.Memories, stateMemory{Model: model, MinSafe: m.minSafe, Newest: m.newest, Records: m.records})
	}
	body, err := encode(s, maxStateBytes)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrState, path, err)
	}
	sum := sha256.Sum256(body)
	if err := durable.WriteFile(path, slices.Concat([]byte(stateMagic), sum[:], body), 0o600); err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	return nil
}

// load reads what save wrote and verifies all of it again, signatures
// included, so that a file which was tampered with is no way around them. The
// error wraps ErrState and says what to do.
func load(path string) (*view, error) {
	v, err := loadUnadvised(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w; restore the file from a backup, or unpin this publisher and pin it again, which forgets what was seen of it and so its protection against old metadata", ErrState, path, err)
	}
	return v, nil
}

func loadUnadvised(path string) (*view, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxStateBytes+int64(len(stateMagic))+sha256.Size+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	rest, ok := bytes.CutPrefix(data, []byte(stateMagic))
	if !ok || len(rest) < sha256.Size {
		return nil, errors.New("not a state file of this version")
	}
	sum, body := rest[:sha256.Size], rest[sha256.Size:]
	if got := sha256.Sum256(body); !bytes.Equal(sum, got[:]) {
		return nil, errors.New("corrupt: its checksum does not match")
	}
	var s state
	if err := decode(body, &s, maxStateBytes); err != nil {
		return nil, err
	}
	return s.view()
}

func (s *state) view() (*view, error) {
	blank := &view{publisher: s.Publisher, name: s.Name, seat: s.Seat}
	if len(s.Timestamp) == 0 {
		return climb(blank, s.Roots)
	}
	u := Update{Publisher: s.Publisher, Roots: s.Roots, Timestamp: s.Timestamp, Snapshot: s.Snapshot, Targets: s.Targets}
	for _, r := range s.Roles {
		u.Roles = append(u.Roles, Role{Name: r.Name, Data: r.Data})
	}
	v, err := advance(blank, u, time.Time{})
	if err != nil {
		return nil, err
	}
	for _, r := range s.Roles {
		model, err := roleModel(r.Name)
		if err != nil {
			return nil, err
		}
		v.roles[model].since = r.Since
	}
	for _, m := range s.Memories {
		remembered := &memory{minSafe: m.MinSafe, newest: m.Newest, records: m.Records}
		if role := v.roles[m.Model]; role != nil {
			if remembered, err = remembered.learn(m.Model, role); err != nil {
				return nil, err
			}
		}
		v.memories[m.Model] = remembered
	}
	v.clock, v.signed = fromUnix(s.Clock), fromUnix(s.Signed)
	return v, nil
}

func toUnix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(0, t.Unix())
}

func fromUnix(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(min(seconds, maxUnix), 0).UTC()
}
