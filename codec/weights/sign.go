package weights

import "github.com/dunlin-mesh/dunlin/codec/mix"

// Limits of slots: the longer their memory, the less bits may change their ways.
const (
	quickLimit = 255
	slowLimit  = 1000
)

// signs code the signs of differences, and of floats without basis.
type signs struct {
	around  [3][3][3]mix.Slot          // by the signs to the left, above and of the basis
	near    [span][3]mix.Slot          // by how far the class is from the forecast, and the basis
	lean    [restSteps + 1]mix.Slot    // by what rounding took from the basis
	scale   [exps][4]mix.Slot          // by the basis element's size and sign
	further [3][3][3][3]mix.Slot       // by the signs of two to the left and two above
	outlook [sureSteps][2][16]mix.Slot // by what the array itself foretells
	mixer   *mix.Mixer4
}

func (s *signs) init() {
	for i := range s.around {
		for j := range s.around[i] {
			mix.Fill(s.around[i][j][:])
			for k := range s.further[i][j] {
				mix.Fill(s.further[i][j][k][:])
			}
		}
	}
	for i := range s.near {
		mix.Fill(s.near[i][:])
	}
	mix.Fill(s.lean[:])
	for i := range s.scale {
		mix.Fill(s.scale[i][:])
	}
	for i := range s.outlook {
		for j := range s.outlook[i] {
			mix.Fill(s.outlook[i][j][:])
		}
	}
	s.mixer = mix.NewMixer4(2, 1<<14, 3)
}

// code codes whether an element of class k with the basis b is negative.
func (s *signs) code(c *mix.Coder, e *setting, n *neighbours, k int, b int64, negative int) int {
	beside := n.around()
	left, above, basis := signOf(n.left[0]), beside[1].sign+1, signOf(b)
	var slots [4]*mix.Slot
	slots[0] = &s.around[left][above][basis]
	if e.rest > 0 {
		slots[1] = &s.lean[e.rest]
	} else {
		slots[1] = &s.near[e.off(k)][basis]
	}
	slots[2] = &s.scale[e.scale][basis]
	set := 0
	if e.foretold {
		set = 1
		slots[3] = &s.outlook[e.sure][e.sign][min(max((e.outlook-halfSpan-4*k)/4+8, 0), 15)]
	} else {
		slots[3] = &s.further[left][signOf(n.left[1])][above][beside[0].sign+1]
	}
	return s.mixer.Code(c, set, &slots, negative, slowLimit)
}
