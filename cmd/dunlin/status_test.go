package main

import (
	"testing"

	"github.com/dunlin-mesh/dunlin/node/api"
)

func TestDescribeRoutes(t *testing.T) {
	plain := func(path string) api.Route {
		return api.Route{Path: path, By: api.ByChunks, Reason: "no peer holds both versions"}
	}
	for _, tt := range []struct {
		routes []api.Route
		want   string
	}{
		{nil, ""},
		{[]api.Route{{Path: "m.onnx", By: api.ByDelta, Basis: "6.1.0", DeltaBytes: 5000, Bytes: 2_000_000}}, "delta to 6.1.0, " + size(5000) + " of " + size(2_000_000)},
		{[]api.Route{plain("m.onnx")}, "in chunks, no peer holds both versions"},
		{
			[]api.Route{plain("a"), plain("b"), plain("c"), plain("d"), plain("e")},
			"a: in chunks, no peer holds both versions; b: in chunks, no peer holds both versions; c: in chunks, no peer holds both versions; 2 more",
		},
	} {
		if got := describeRoutes(tt.routes); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.routes, got, tt.want)
		}
	}
}
