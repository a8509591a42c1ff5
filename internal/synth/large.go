package synth

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// Large is an update of a model of any size, for measuring speed and memory:
// square layers of normal weights and one head of 1000 rows, in a safetensors
// file. It is written as it is drawn, and never held.
type Large struct {
	Layers int    // matrices of 2048 by 2048, at least 1
	Wide   bool   // f32; otherwise bf16
	Seed   string // what to draw
	// Noise and Head are the errors of every layer's weights and of the head's,
	// as shares of their rms; 0 leaves them as they are.
	Noise, Head float64
}

const (
	largeSide  = 2048
	largeHead  = 1000
	largeSigma = 0.02 // as transformers are initialised
)

// Write writes the two states, to both at the same pace. It writes to each in
// pieces of 64 KiB and stops at the first error.
func (l Large) Write(old, updated io.Writer) error {
	if l.Layers < 1 {
		return errors.New("synth: a large model of no layers")
	}
	a, b := bufio.NewWriterSize(old, 64<<10), bufio.NewWriterSize(updated, 64<<10)
	header := l.header()
	if _, err := a.Write(header); err != nil {
		return err
	}
	if _, err := b.Write(header); err != nil {
		return err
	}
	r := newRandom("large " + l.Seed)
	for i := range l.Layers + 1 {
		rows, ratio := largeSide, l.Noise
		if i == l.Layers {
			rows, ratio = largeHead, l.Head
		}
		if err := l.tensor(r, rows, ratio, a, b); err != nil {
			return err
		}
	}
	return errors.Join(a.Flush(), b.Flush())
}

// header is that of both files: layers, then the head, as their names sort.
func (l Large) header() []byte {
	dtype := "BF16"
	if l.Wide {
		dtype = "F32"
	}
	text := []byte("{")
	at := 0
	for i := range l.Layers + 1 {
		name, rows := fmt.Sprintf("layer.%05d.weight", i), largeSide
		if i == l.Layers {
			name, rows = "out.weight", largeHead
		}
		length := rows * largeSide * width(dtype)
		text = fmt.Appendf(text, `"%s":{"dtype":"%s","shape":[%d,%d],"data_offsets":[%d,%d]},`,
			name, dtype, rows, largeSide, at, at+length)
		at += length
	}
	text[len(text)-1] = '}'
	for len(text)%8 != 0 {
		text = append(text, ' ')
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...)
}

// tensor writes rows of weights and what becomes of them.
func (l Large) tensor(r random, rows int, ratio float64, old, updated *bufio.Writer) error {
	row, changed := make([]byte, 0, 4*largeSide), make([]byte, 0, 4*largeSide)
	for range rows {
		row, changed = row[:0], changed[:0]
		for range largeSide {
			v := float32(float64(largeSigma * r.rough()))
			row = l.append(row, v)
			if ratio != 0 {
				v = float32(float64(v) + float64(float64(ratio*largeSigma)*r.rough()))
				changed = l.append(changed, v)
			}
		}
		if ratio == 0 {
			changed = append(changed, row...)
		}
		if _, err := old.Write(row); err != nil {
			return err
		}
		if _, err := updated.Write(changed); err != nil {
			return err
		}
	}
	return nil
}

func (l Large) append(b []byte, v float32) []byte {
	if l.Wide {
		return binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return binary.LittleEndian.AppendUint16(b, brain(v))
}
