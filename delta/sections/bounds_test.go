package sections

import (
	"bytes"
	"io"
	"testing"

	"github.com/dunlin-mesh/dunlin/internal/raced"
)

// mosaic alternates between zeros and ones every 64 KiB for ever, a trap for a
// search that looks between windows that differ.
type mosaic struct{}

func (mosaic) ReadAt(p []byte, off int64) (int, error) {
	for i := range p {
		p[i] = 0
		at := off + int64(i)
		if at>>16&1 == 1 {
			p[i] = byte(at*at>>3) | 1
		}
	}
	return len(p), nil
}

func TestSurveyIsBounded(t *testing.T) {
	if raced.Enabled {
		t.Skip("SKIP: arithmetic in one goroutine, too slow under the race detector")
	}
	var r io.ReaderAt = mosaic{}
	s := &scanner{ctx: t.Context(), r: r, length: 1 << 40, logs: newLogs(), table: stateTable()}
	windows, states, err := s.survey()
	if err != nil {
		t.Fatal(err)
	}
	if len(windows) > 2*maxWindows || len(states) != len(windows) {
		t.Errorf("%d windows, %d states; want at most %d", len(windows), len(states), 2*maxWindows)
	}
	for i := 1; i < len(windows); i++ {
		if windows[i].at < windows[i-1].at+int64(windows[i-1].n) {
			t.Fatalf("window %d overlaps the one before", i)
		}
	}
}

// A border is found to the byte between a float array and text.
func TestBorderIsExact(t *testing.T) {
	var data []byte
	for i := range 2000 {
		data = append(data, byte(i*i>>2), byte(i*7919>>3), byte(i*i*31>>5), byte(0x3c+i*i>>4&1)|byte(i&1)<<7)
	}
	cut := len(data)
	data = append(data, bytes.Repeat([]byte("the rest is text, words and more words; "), 100)...)
	s := &scanner{ctx: t.Context(), r: bytes.NewReader(data), length: int64(len(data)), logs: newLogs(), table: stateTable()}
	f32 := uint8(0)
	for i, st := range s.table {
		if st.width == 4 && st.phase == 0 && f32 == 0 {
			f32 = uint8(i)
		}
	}
	for _, near := range []int{cut - 200, cut, cut + 150} {
		at, err := s.border(f32, other, 0, int64(near), int64(len(data)))
		if err != nil || at < int64(cut)-4 || at > int64(cut)+4 {
			t.Errorf("border at %d, %v; want %d", at, err, cut)
		}
	}
}
