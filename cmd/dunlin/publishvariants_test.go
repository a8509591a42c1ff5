package main

import (
	"reflect"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
)

func TestParseVariant(t *testing.T) {
	got, err := parseVariant("int8=/m/ocr.onnx,isa=avx2+avx512vnni,os=linux,arch=amd64+arm64,ep=CPU,min-memory=1.5GiB,precision=i8,quantization=static-qdq")
	want := api.PublishVariant{
		Name: "int8", Path: "/m/ocr.onnx", Precision: "i8", Quantization: "static-qdq",
		Requires: &manifest.Requires{
			ISA: []string{"avx2", "avx512vnni"}, OS: []string{"linux"}, Arch: []string{"amd64", "arm64"}, EP: []string{"CPU"}, MinMemoryBytes: 3 << 29,
		},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := parseVariant("any=/m/ocr.onnx"); err != nil || got.Requires != nil {
		t.Errorf("without requirements: got %+v, %v", got, err)
	}
	for text, says := range map[string]string{
		"int8": "NAME=PATH", "=x": "NAME=PATH", "int8=": "NAME=PATH", "int8=x,fast": "no KEY=VALUE", "int8=x,isa=": "no KEY=VALUE",
		"int8=x,isa=a,isa=b": "twice", "int8=x,gpu=1": "none of ep", "int8=x,min-memory=much": "no size",
	} {
		if _, err := parseVariant(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, want %q", text, err, says)
		}
	}
}

func TestVariantsAndPathsExcludeEachOther(t *testing.T) {
	for says, c := range map[string]publishCmd{
		"nothing to publish": {},
		"has no path":        {Variant: []string{"int8"}},
		"make it a variant":  {Path: "/x", Variant: []string{"a=/y"}},
		"NAME=PATH first":    {Path: "/x", Variant: []string{"a", "b"}},
	} {
		if _, _, err := c.variants(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want %q", err, says)
		}
	}
	if name, variants, err := (publishCmd{Path: "/x", Variant: []string{"int8"}}).variants(); name != "int8" || variants != nil || err != nil {
		t.Errorf("got %s, %v, %v", name, variants, err)
	}
}
