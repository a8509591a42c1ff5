package synth

import (
	"fmt"
	"slices"
)

// axis is where a group of hidden units lies in a tensor: along one of its
// axes, from index start on.
type axis struct {
	tensor string
	axis   int
	start  int
}

// group is every place of one group of hidden units. If all of them are put in
// the same new order, the network computes what it did. The first place has
// them along a whole axis, which says how many they are.
type group []axis

// reorder puts the hidden units of each group in a new random order.
func reorder(tensors []tensor, groups []group, seed string) ([]tensor, error) {
	r := newRandom("reorder " + seed)
	out := each(tensors, func(*tensor) {})
	for _, g := range groups {
		var perm []int
		for _, a := range g {
			i := slices.IndexFunc(out, func(t tensor) bool { return t.name == a.tensor })
			if i < 0 || a.axis >= len(out[i].shape) {
				return nil, fmt.Errorf("reorder: no axis %d of %s", a.axis, a.tensor)
			}
			if perm == nil {
				perm = r.perm(out[i].shape[a.axis])
			}
			if a.start+len(perm) > out[i].shape[a.axis] {
				return nil, fmt.Errorf("reorder: axis %d of %s has no %d units from %d", a.axis, a.tensor, len(perm), a.start)
			}
			out[i].permute(a.axis, a.start, perm)
		}
	}
	return out, nil
}

// permute makes what was at start+perm[i] along an axis be at start+i.
func (t *tensor) permute(axis, start int, perm []int) {
	outer, inner := 1, 1
	for i, d := range t.shape {
		switch {
		case i < axis:
			outer *= d
		case i > axis:
			inner *= d
		}
	}
	old := slices.Clone(t.data)
	for o := range outer {
		base := (o*t.shape[axis] + start) * inner
		for i, p := range perm {
			copy(t.data[base+i*inner:base+(i+1)*inner], old[base+p*inner:])
		}
	}
}

// ofUnits lists the first axis of several tensors.
func ofUnits(names ...string) group {
	var g group
	for _, n := range names {
		g = append(g, axis{tensor: n})
	}
	return g
}

// rows lists the first axis of the weights and the bias of layers.
func rows(layers ...string) group {
	var g group
	for _, l := range layers {
		g = append(g, axis{tensor: l + ".w_0"}, axis{tensor: l + ".b_0"})
	}
	return g
}

// norm lists the vectors of a batch normalisation.
func norm(number string) group {
	n := "batch_norm2d_" + number
	return ofUnits(n+".b_0", n+".w_0", n+".w_1", n+".w_2")
}

// ppocrGroups are the channels of PP-OCRv4's recogniser. The backbone takes
// turns of depthwise and pointwise convolutions (PP-LCNet,
// https://arxiv.org/abs/2109.15099), two of them with squeeze and excitation;
// the neck is SVTR (https://arxiv.org/abs/2205.00159), which joins its input to
// the output of its blocks.
var ppocrGroups = []group{
	slices.Concat(norm("2"), ofUnits("conv2d_10.w_0"), rows("conv2d_157"), group{{"conv2d_158.w_0", 1, 0}}),
	slices.Concat(rows("conv2d_158", "conv2d_159"), group{{"conv2d_160.w_0", 1, 0}}),
	slices.Concat(rows("conv2d_160", "conv2d_161"), group{{"conv2d_162.w_0", 1, 0}}),
	slices.Concat(rows("conv2d_162", "conv2d_163"), group{{"conv2d_164.w_0", 1, 0}}),
	slices.Concat(rows("conv2d_164", "conv2d_165"), group{{"conv2d_166.w_0", 1, 0}}),
	slices.Concat(rows("conv2d_166", "conv2d_167"), group{{"conv2d_168.w_0", 1, 0}}),
	slices.Concat(rows("conv2d_168", "conv2d_169"), group{{"conv2d_170.w_0", 1, 0}}),
	slices.Concat(rows("conv2d_170", "conv2d_171"), group{{"conv2d_172.w_0", 1, 0}}),
	slices.Concat(rows("conv2d_172", "conv2d_173"), group{{"conv2d_174.w_0", 1, 0}}),
	slices.Concat(rows("conv2d_174", "conv2d_175"), group{{"conv2d_176.w_0", 1, 0}}),
	slices.Concat(rows("conv2d_176", "conv2d_177", "conv2d_107"), group{{"conv2d_106.w_0", 1, 0}, {"conv2d_178.w_0", 1, 0}}),
	slices.Concat(rows("conv2d_106"), group{{"conv2d_107.w_0", 1, 0}}),
	slices.Concat(rows("conv2d_178", "conv2d_179", "conv2d_118"), group{{"conv2d_117.w_0", 1, 0}, {"conv2d_180.w_0", 1, 0}}),
	slices.Concat(rows("conv2d_117"), group{{"conv2d_118.w_0", 1, 0}}),
	slices.Concat(rows("conv2d_180", "conv2d_181"), group{{"conv2d_182.w_0", 1, 0}}),
	slices.Concat(rows("conv2d_182", "conv2d_183"), group{{"conv2d_184.w_0", 1, 0}}),
	slices.Concat(rows("conv2d_184"), group{{"conv2d_142.w_0", 1, 0}, {"conv2d_145.w_0", 1, 0}}),
	slices.Concat(norm("148"), ofUnits("conv2d_142.w_0"), group{{"conv2d_143.w_0", 1, 0}}),
	slices.Concat(rows("linear_79")[1:], group{{"linear_79.w_0", 1, 0}, {"linear_80.w_0", 0, 0}}),
	slices.Concat(rows("linear_83")[1:], group{{"linear_83.w_0", 1, 0}, {"linear_84.w_0", 0, 0}}),
	slices.Concat(norm("150"), ofUnits("conv2d_144.w_0"), group{{"conv2d_145.w_0", 1, 480}}),
	slices.Concat(norm("151"), ofUnits("conv2d_145.w_0"), group{{"conv2d_146.w_0", 1, 0}}),
	slices.Concat(norm("152"), ofUnits("conv2d_146.w_0"), group{{"linear_85.w_0", 0, 0}}),
}

// sileroGroups are the hidden units of Silero VAD: of its four convolutions and
// of its LSTM, whose gates are four runs of rows, once for each sampling rate.
func sileroGroups() []group {
	var groups []group
	for _, branch := range []string{"If_0_else_branch__Inline_0__", "If_0_then_branch__Inline_0__"} {
		conv := func(n string) group {
			return ofUnits(branch+"encoder."+n+".reparam_conv.weight", branch+"encoder."+n+".reparam_conv.bias")
		}
		next := func(n string) axis { return axis{branch + "encoder." + n + ".reparam_conv.weight", 1, 0} }
		groups = append(groups,
			append(conv("0"), next("1")),
			append(conv("1"), next("2")),
			append(conv("2"), next("3")),
			append(conv("3"), axis{branch + "decoder.rnn.weight_ih", 1, 0}))
		lstm := group{{branch + "decoder.decoder.2.weight", 1, 0}, {branch + "decoder.rnn.weight_hh", 1, 0}}
		for _, n := range []string{"weight_ih", "weight_hh", "bias_ih", "bias_hh"} {
			for gate := range 4 {
				lstm = append(lstm, axis{branch + "decoder.rnn." + n, 0, gate * 128})
			}
		}
		groups = append(groups, lstm)
	}
	return groups
}

// magikaGroups are the 512 channels of Magika's one convolution.
var magikaGroups = []group{{
	{"jax2tf_get_logits_/pjit_get_logits_/MagikaV2/Conv_0/transpose_3:0", 0, 0},
	{"jax2tf_get_logits_/pjit_get_logits_/MagikaV2/LayerNorm_1/Reshape_3:0", 1, 0},
	{"jax2tf_get_logits_/pjit_get_logits_/MagikaV2/LayerNorm_1/Reshape_2:0", 1, 0},
	{"const_fold_opt__210", 1, 0},
	{"jax2tf_get_logits_/Const_24:0", 0, 0},
}}
