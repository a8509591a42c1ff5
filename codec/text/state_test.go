package text

import (
	"bytes"
	"testing"
)

// A bit makes itself likelier, and a state is known by what it stands for.
func TestStates(t *testing.T) {
	h := history8
	if h.n0[0] != 0 || h.n1[0] != 0 {
		t.Fatal("state 0 has seen something")
	}
	reached := map[uint8]bool{0: true}
	for queue := []uint8{0}; len(queue) > 0; queue = queue[1:] {
		s := queue[0]
		for bit := range 2 {
			next := h.next[s][bit]
			p, q := h.prior[s].P(), h.prior[next].P()
			if bit == 1 && q < p || bit == 0 && q > p {
				t.Errorf("state %d (%d, %d): a %d changes %d to %d", s, h.n0[s], h.n1[s], bit, p, q)
			}
			if seen(next) == 0 {
				t.Errorf("state %d has seen nothing after a %d", next, bit)
			}
			if !reached[next] {
				reached[next] = true
				queue = append(queue, next)
			}
		}
	}
	t.Logf("%d states", len(reached))
	if len(reached) < 150 {
		t.Errorf("only %d states", len(reached))
	}
	for range 300 {
		s := uint8(0)
		for range 1000 {
			s = h.next[s][1]
		}
		if h.n0[s] != 0 || h.n1[s] != uint8(mostOf[0]) {
			t.Fatalf("1000 ones end in (%d, %d)", h.n0[s], h.n1[s])
		}
	}
}

// A bucket is found again by its hash, and the least used makes room.
func TestTable(t *testing.T) {
	tab := newTable(minModelBits)
	a := tab.get(0x12345678)
	a[1], a[15] = 5, 7
	if tab.get(0x12345678) != a {
		t.Error("not found again")
	}
	for i := range uint32(100_000) {
		tab.get(i * 0x9E3779B1)[1] = 1
	}
	if b := tab.get(0x12345678); b[0] != 0x12 {
		t.Errorf("check is %#x", b[0])
	}
}

// An APM says nothing new at first, and learns.
func TestAPM(t *testing.T) {
	a := newAPM(2)
	for _, logit := range []int32{-3071, -1000, -1, 0, 1, 700, 3071} {
		p, q := a.refine(1, logit), a.refine(0, logit)
		if p != q {
			t.Errorf("%d: %d and %d", logit, p, q)
		}
	}
	for range 1000 {
		a.refine(1, 0)
		a.learn(1)
	}
	if p := a.refine(1, 0); p < 60_000 {
		t.Errorf("after 1000 ones: %d", p)
	}
	if p := a.refine(0, 0); p < 32_000 || p > 33_500 {
		t.Errorf("another context: %d", p)
	}
}

// The follower finds its way after bytes replaced, put in and left out.
func TestFollow(t *testing.T) {
	old := []byte("The quick brown fox jumps over the lazy dog, and the five boxing wizards vex it; sphinx of black quartz, judge my vow.")
	for _, c := range []struct{ name, now string }{
		{"replaced", "The quick green fox jumps over"},
		{"put in", "The quick and very brown fox jumps over"},
		{"left out", "The quick fox jumps over"},
		{"moved far", "The sphinx of black quartz, jud"},
	} {
		o, err := NewOld(bytes.NewReader(old), int64(len(old)), MinBudget)
		if err != nil {
			t.Fatal(err)
		}
		h, f := newHistory(100), new(follower)
		f.init()
		f.start(o, 0)
		none := match{pos: -1}
		for i := range c.now {
			h.add(c.now[i])
			f.follow(o, h, c.now[i], &none)
		}
		want := bytes.Index(old, []byte(c.now[len(c.now)-10:])) + 10
		if f.pos != int64(want) {
			t.Errorf("%s: at %d (%q), want %d", c.name, f.pos, old[f.pos:], want)
		}
	}
}
