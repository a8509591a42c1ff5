package manifest_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/manifest"
)

func TestParseModel(t *testing.T) {
	for _, text := range []string{"acme/vad", "a/b", "acme-2.org/Silero_VAD-v6", "0/0"} {
		m, err := manifest.ParseModel(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if m.Publisher()+"/"+m.Name() != text {
			t.Errorf("%q falls apart into %q and %q", text, m.Publisher(), m.Name())
		}
	}
	for _, text := range []string{
		"", "acme", "/vad", "acme/", "Acme/vad", "acme/vad/6", "../vad", "acme/..", "acme/.vad", "acme/-vad",
		"acme/va d", "acme/vad\x00", "acme/vad.", "acme/con", "nul/vad", "acme/" + strings.Repeat("x", 97), "ácme/vad",
	} {
		if _, err := manifest.ParseModel(text); !errors.Is(err, manifest.ErrName) {
			t.Errorf("%q: %v, want ErrName", text, err)
		}
	}
}

func TestValidateVersion(t *testing.T) {
	for _, v := range []string{"6.2.0", "2026-11-24", "v1.0.0-rc.1+build.5"} {
		if err := manifest.ValidateVersion(v); err != nil {
			t.Errorf("%q: %v", v, err)
		}
	}
	for _, v := range []string{"", "-1", "1/2", "..", "1 ", strings.Repeat("1", 65)} {
		if err := manifest.ValidateVersion(v); !errors.Is(err, manifest.ErrName) {
			t.Errorf("%q: %v, want ErrName", v, err)
		}
	}
}

func TestValidatePath(t *testing.T) {
	for _, p := range []string{"model.onnx", "a/b c/d.bin", "..data", "größe.onnx", "模型.onnx"} {
		if err := manifest.ValidatePath(p); err != nil {
			t.Errorf("%q: %v", p, err)
		}
	}
	for _, p := range []string{
		"", ".", "..", "../a", "a/../b", "a//b", "/a", "a/", "./a", `a\b`, "C:a", "a\x00", "a\n", "a.", "a /b", "aux", "x/COM1.txt",
		"\xff", strings.Repeat("a/", 300) + "a", strings.Repeat("x", 256),
	} {
		if err := manifest.ValidatePath(p); !errors.Is(err, manifest.ErrName) {
			t.Errorf("%q: %v, want ErrName", p, err)
		}
	}
}

func TestCIDForms(t *testing.T) {
	c := manifest.SumCID(manifest.Raw, []byte("dunlin"))
	if c.Codec() != manifest.Raw || c.Digest() != manifest.SumDigest([]byte("dunlin")) {
		t.Errorf("codec %d digest %s", c.Codec(), c.Digest())
	}
	var back manifest.CID
	text, _ := c.MarshalText()
	if err := back.UnmarshalText(text); err != nil || back != c {
		t.Errorf("text form: %v", err)
	}
	if _, err := manifest.Encode(&manifest.DigestNode{Links: []manifest.CID{{}}}); err == nil {
		t.Error("the zero CID was encoded as a link")
	}
	for _, text := range []string{
		"QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG",                                                                 // CIDv0
		"bafkrgqhhyivzstcz3hhswshfjgy6ertgmnqeleynhwt4dlfsthi4hn7zgh4uvlsb5xncykzapi3ocd4lzogukir6ksdy6wzrnz6ohnv4aglcs", // other hash
		"", "bafy", strings.Repeat("b", 200),
	} {
		if _, err := manifest.ParseCID(text); !errors.Is(err, manifest.ErrCID) {
			t.Errorf("%.20q: %v, want ErrCID", text, err)
		}
	}
}
