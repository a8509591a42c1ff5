package parley

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"github.com/dunlin-mesh/dunlin/manifest"
)

func TestComparePrefix(t *testing.T) {
	key := []byte{0x12, 0x34}
	for _, c := range []struct {
		prefix []byte
		want   int
	}{
		{nil, 0},
		{[]byte{1}, 0},
		{[]byte{1, 2, 3, 4}, 0},
		{[]byte{2}, -1},
		{[]byte{1, 3}, -1},
		{[]byte{0}, 1},
		{[]byte{1, 2, 3, 3}, 1},
	} {
		if got := ComparePrefix(key, c.prefix); got != c.want {
			t.Errorf("%x in the range of %x: %d, want %d", key, c.prefix, got, c.want)
		}
	}
}

func TestShape(t *testing.T) {
	s := Shape{Depth: 3, Entries: 2, PartBytes: 4}
	parts := func(change func([][]byte) [][]byte) [][]byte {
		p := make([][]byte, FanOut)
		p[5] = []byte{1, 2, 3, 4}
		return change(p)
	}
	asItIs := func(p [][]byte) [][]byte { return p }
	for name, c := range map[string]struct {
		prefix  []byte
		entries int
		parts   [][]byte
		fits    bool
	}{
		"entries":          {[]byte{1, 15}, 2, nil, true},
		"parts":            {[]byte{1}, 0, parts(asItIs), true},
		"a long prefix":    {[]byte{1, 2, 3, 4}, 0, nil, false},
		"no nibble":        {[]byte{16}, 0, nil, false},
		"many entries":     {nil, 3, nil, false},
		"both":             {nil, 1, parts(asItIs), false},
		"too deep to part": {[]byte{1, 2, 3}, 0, parts(asItIs), false},
		"few parts":        {nil, 0, parts(func(p [][]byte) [][]byte { return p[1:] }), false},
		"a short digest":   {nil, 0, parts(func(p [][]byte) [][]byte { p[5] = p[5][1:]; return p }), false},
	} {
		if err := s.Check(c.prefix, c.entries, c.parts); (err == nil) != c.fits {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadExactly(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		data := make([]byte, rapid.IntRange(0, 100_000).Draw(rt, "length"))
		for i := range data {
			data[i] = byte(i * 3)
		}
		got, err := ReadExactly(bytes.NewReader(append(bytes.Clone(data), 9)), len(data))
		if err != nil || !bytes.Equal(got, data) {
			rt.Fatalf("%d bytes, %v", len(got), err)
		}
		if _, err := ReadExactly(bytes.NewReader(data), len(data)+1); !errors.Is(err, io.ErrUnexpectedEOF) {
			rt.Fatalf("a byte too few: %v", err)
		}
	})
}

func TestPacker(t *testing.T) {
	p, err := NewPacker(PackerConfig{Level: zstd.SpeedDefault, Window: 64 << 10, Readers: 1, Most: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	content := bytes.Repeat([]byte("dunlin "), 1000)
	packed := p.Pack(content)
	size, err := p.Size(packed)
	if err != nil || size != len(content) {
		t.Fatal(size, err)
	}
	if got, err := p.Unpack(packed, size); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := p.Size(p.Pack(make([]byte, 10_001))); !errors.Is(err, manifest.ErrFormat) {
		t.Errorf("more than it takes: %v", err)
	}
	if _, err := p.Size([]byte("nothing")); !errors.Is(err, manifest.ErrFormat) {
		t.Errorf("no zstd: %v", err)
	}
	for _, bad := range [][]byte{packed[:len(packed)-1], append(bytes.Clone(packed), 0)} {
		if _, err := p.Unpack(bad, size); !errors.Is(err, manifest.ErrFormat) {
			t.Errorf("damaged: %v", err)
		}
	}
}

func TestSleepUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if err := SleepUntil(t.Context(), start.Add(time.Minute), nil); err != nil || time.Since(start) != time.Minute {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		wake := make(chan struct{}, 1)
		wake <- struct{}{}
		if err := SleepUntil(t.Context(), time.Time{}, wake); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := SleepUntil(ctx, time.Time{}, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}
