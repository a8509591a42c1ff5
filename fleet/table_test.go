package fleet

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"pgregory.net/rapid"
)

func testTable(t testing.TB) *Table {
	t.Helper()
	table, err := OpenTable(TableConfig{Dir: filepath.Join(t.TempDir(), "fleet"), Self: newStranger(t).peer, Mesh: testMesh})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// Whatever the order in which records come, the newest of each node stays.
func TestNewestWins(t *testing.T) {
	nodes := []stranger{newStranger(t), newStranger(t), newStranger(t)}
	rapid.Check(t, func(rt *rapid.T) {
		table := testTable(t)
		best := make(map[peer.ID][2]uint64)
		for range rapid.IntRange(1, 30).Draw(rt, "records") {
			node := rapid.SampledFrom(nodes).Draw(rt, "node")
			epoch, sequence := rapid.Uint64Range(1, 3).Draw(rt, "epoch"), rapid.Uint64Range(1, 5).Draw(rt, "sequence")
			r, data := node.signed(t, epoch, sequence)
			r.Time = rapid.Int64().Draw(rt, "clock")
			was := best[node.peer]
			wins := newer(epoch, sequence, was[0], was[1])
			age := time.Duration(rapid.IntRange(0, 1000).Draw(rt, "age")) * time.Second
			if v, _ := table.put(r, data, age, nodes[0].peer, false); (v == kept) != wins {
				rt.Fatalf("(%d, %d) after %v: verdict %d", epoch, sequence, was, v)
			}
			if wins {
				best[node.peer] = [2]uint64{epoch, sequence}
			}
		}
		for _, r := range table.Rows() {
			if best[r.Peer] != [2]uint64{r.Epoch, r.Sequence} {
				rt.Fatalf("%s: (%d, %d), want %v", r.Peer, r.Epoch, r.Sequence, best[r.Peer])
			}
		}
	})
}

// A flood of made-up nodes fills the table and then displaces its own.
func TestFloodDisplacesItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := testTable(t)
		honest, flood := newStranger(t), newStranger(t)
		var met []peer.ID
		for range 20 {
			direct, through := newStranger(t), newStranger(t)
			r, data := direct.signed(t, 1, 1)
			table.put(r, data, time.Hour, direct.peer, false)
			r, data = through.signed(t, 1, 1)
			table.put(r, data, time.Hour, honest.peer, false)
			met = append(met, direct.peer, through.peer)
		}
		taken := 0
		for range 3 * MaxRows {
			r, data := unsigned(t, testRecord("nowhere", "1", 0))
			if v, _ := table.put(r, data, 0, flood.peer, false); v == kept {
				taken++
			}
			time.Sleep(newcomerPause / 2)
		}
		if most := newcomers + 3*MaxRows/2 + 1; taken > most {
			t.Errorf("%d made-up nodes were taken, want at most %d", taken, most)
		}
		if n := len(table.rows); n != MaxRows {
			t.Errorf("%d rows, want %d", n, MaxRows)
		}
		for _, p := range met {
			if table.get(keyOf(p)) == nil {
				t.Fatal("the flood displaced a row that somebody else brought")
			}
		}
		// There is still room for what others bring.
		r, data := newStranger(t).signed(t, 1, 1)
		if v, _ := table.put(r, data, time.Minute, honest.peer, false); v != kept {
			t.Errorf("an honest source finds no room: verdict %d", v)
		}
	})
}

// Records as large as they may be fill the table's bytes, not memory.
func TestBytesAreBounded(t *testing.T) {
	table, largest := testTable(t), 0
	for range 3000 {
		big := bigRecord()
		big.Models = big.Models[:15]
		r, data := unsigned(t, big)
		table.put(r, data, 0, r.Peer, false)
		largest = max(largest, len(data))
	}
	if table.bytes > maxTableBytes {
		t.Errorf("%d bytes, want at most %d", table.bytes, maxTableBytes)
	}
	sum := 0
	for _, r := range table.rows {
		sum += len(r.data)
	}
	if largest < MaxRecordBytes*3/4 || largest > MaxRecordBytes {
		t.Errorf("records of %d bytes are none as large as they may be", largest)
	}
	if sum != table.bytes || sum < maxTableBytes/2 {
		t.Errorf("%d bytes of records, counted %d", sum, table.bytes)
	}
}

// What nobody has heard of for a month is forgotten, and not taken back.
func TestForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := testTable(t)
		node, via := newStranger(t), newStranger(t)
		r, data := node.signed(t, 1, 1)
		table.put(r, data, MaxAge-time.Hour, via.peer, false)
		time.Sleep(59 * time.Minute)
		if n := len(table.Rows()); n != 1 {
			t.Errorf("%d rows before the month is over", n)
		}
		time.Sleep(time.Minute)
		if n := len(table.Rows()); n != 0 {
			t.Errorf("%d rows after it", n)
		}
		if v, _ := table.put(r, data, MaxAge, via.peer, false); v != refused {
			t.Errorf("verdict %d on a record that is too old", v)
		}
	})
}

// A saved table comes back as it was; a damaged one is forgotten.
func TestSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := testTable(t)
		for range 50 {
			r, data := newStranger(t).signed(t, 3, 4)
			table.put(r, data, time.Minute, newStranger(t).peer, true)
		}
		if err := table.Save(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		again, err := OpenTable(table.config)
		if err != nil {
			t.Fatal(err)
		}
		was, is := table.Rows(), again.Rows()
		if len(is) != 50 {
			t.Fatalf("%d rows came back", len(is))
		}
		for i := range is {
			if is[i].Peer != was[i].Peer || is[i].Via != was[i].Via || is[i].Age != was[i].Age {
				t.Fatalf("row %d: %v, %s, %s; was %v, %s, %s", i, is[i].Peer, is[i].Via, is[i].Age, was[i].Peer, was[i].Via, was[i].Age)
			}
		}
		path := filepath.Join(table.config.Dir, rowsName)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/2] ^= 1
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenTable(table.config); err != nil {
			t.Errorf("a damaged file keeps the node from starting: %v", err)
		}
	})
}

// A clock that jumped forward by years while the node was off makes rows look
// old, and forgets none.
func TestClockJumpForgetsNothing(t *testing.T) {
	table := testTable(t)
	r, data := newStranger(t).signed(t, 1, 1)
	table.put(r, data, time.Minute, r.Peer, false)
	if err := table.Save(); err != nil {
		t.Fatal(err)
	}
	for _, shift := range []int64{-1e9, 1e9} {
		path := filepath.Join(table.config.Dir, rowsName)
		saved := &savedTable{Time: time.Now().Unix() - shift, Rows: []savedRow{{Age: 60, Via: []byte(r.Peer), Record: data}}}
		writeSaved(t, path, saved)
		again, err := OpenTable(table.config)
		if err != nil {
			t.Fatal(err)
		}
		if rows := again.Rows(); len(rows) != 1 || rows[0].Age < time.Minute || rows[0].Age > 3*MaxAge {
			t.Errorf("shift of %d s: %d rows, age %s", shift, len(rows), rows[0].Age)
		}
	}
}

// Epochs grow with each start, with and without a clock, and whatever others
// have seen.
func TestEpochsGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // in the year 2000: the clock is not set
		table := testTable(t)
		for want := range uint64(5) {
			if got, err := table.nextEpoch(0); err != nil || got != want+1 {
				t.Errorf("epoch %d (%v), want %d", got, err, want+1)
			}
		}
		if got, err := table.nextEpoch(1000); err != nil || got != 1001 {
			t.Errorf("epoch %d (%v) beyond 1000", got, err)
		}
		if err := os.WriteFile(filepath.Join(table.config.Dir, epochName), []byte("rotten"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := table.nextEpoch(0); err != nil || got != 1 {
			t.Errorf("epoch %d (%v) from a rotten file", got, err)
		}
		if _, err := table.nextEpoch(maxCounter); err == nil {
			t.Error("an epoch beyond the last one")
		}
	})
	table := testTable(t)
	now := uint64(time.Now().Unix())
	first, err := table.nextEpoch(0)
	if err != nil || first < now {
		t.Errorf("epoch %d (%v) of a clock at %d", first, err, now)
	}
	if second, err := table.nextEpoch(0); err != nil || second <= first {
		t.Errorf("epoch %d (%v) after %d", second, err, first)
	}
}
