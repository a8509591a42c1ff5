package trust

import (
	"errors"
	"strings"
	"testing"
)

// Documents that would make go-tuf or encoding/json stumble: nulls, duplicate
// and case-folded keys, keys of odd lengths (ed25519.Verify panics on those),
// big numbers. A pinned publisher could sign any of them, so form must protect.
func TestDecodersRefuse(t *testing.T) {
	repo := newRepo(t)
	repo.model("vad").release("1", 1, "one")
	u := repo.update()
	decoders := map[string]func([]byte) error{
		"root":      func(b []byte) error { _, err := decodeRoot(b); return err },
		"timestamp": func(b []byte) error { _, err := decodeTimestamp(b); return err },
		"snapshot":  func(b []byte) error { _, err := decodeSnapshot(b); return err },
		"targets":   func(b []byte) error { _, err := decodeTargets(b); return err },
		"role":      func(b []byte) error { _, _, err := decodeModelRole("vad", b); return err },
	}
	docs := map[string][]byte{"root": repo.roots[0], "timestamp": u.Timestamp, "snapshot": u.Snapshot, "targets": u.Targets, "role": u.Roles[0].Data}
	for name, doc := range docs {
		if err := decoders[name](doc); err != nil {
			t.Fatalf("%s itself: %v", name, err)
		}
		for other, decode := range decoders {
			if other != name && (name != "role" || other != "targets") && (name != "targets" || other != "role") && decode(doc) == nil {
				t.Errorf("%s passes as %s", name, other)
			}
		}
	}
	public := repo.public("a").Value.PublicKey
	for _, tc := range []struct{ doc, old, new string }{
		{"root", `"` + public + `"`, `"` + public[:62] + `"`},
		{"root", `"` + public + `"`, `""`},
		{"root", `"` + public + `"`, `"` + strings.ToUpper(public) + `"`},
		{"root", `"a":{"keytype"`, `"a":null,"b":{"keytype"`},
		{"root", `"keytype":"ed25519"`, `"keytype":"rsa"`},
		{"root", `"keyids":["a"]`, `"keyids":["a","a"]`},
		{"root", `"keyids":["a"]`, `"keyids":[]`},
		{"root", `"keyids":["a"]`, `"keyids":["b"]`},
		{"root", `"threshold":1`, `"threshold":0`},
		{"root", `"threshold":1`, `"threshold":2`},
		{"root", `"version":1`, `"version":0`},
		{"root", `"x-dunlin-publisher":"acme"`, `"x-dunlin-publisher":"../x"`},
		{"root", `,"x-dunlin-publisher":"acme"`, ``},
		{"timestamp", `"version":1}},`, `"version":1.0}},`},
		{"timestamp", `"version":1}},`, `"version":1e0}},`},
		{"timestamp", `"version":1}},`, `"version":9007199254740992}},`},
		{"timestamp", `"version":1}},`, `"version":18446744073709551617}},`},
		{"timestamp", `"version":1}},`, `"version":-1}},`},
		{"timestamp", `"version":1}},`, `"version":01}},`},
		{"timestamp", `"version":1}},`, `"version":1,"version":2}},`},
		{"timestamp", `"version":1}},`, `"version":1}} ,`},
		{"timestamp", `{"hashes"`, `{"Version":9,"hashes"`}, // folded, yet unique: must not count
		{"timestamp", `"_type":"timestamp"`, `"_type":"root"`},
		{"timestamp", `"spec_version":"1.0.31"`, `"spec_version":"2.0.0"`},
		{"timestamp", `{"signatures"`, `{"extra":1,"signatures"`},
		{"timestamp", `{"keyid"`, `{"extra":1,"keyid"`},
		{"timestamp", `"snapshot.json":{`, `"snapshot.json":null,"x":{`},
		{"timestamp", `"snapshot.json":{`, `"other.json":{`},
		{"timestamp", `"hashes":{"sha256":`, `"hashes":{"sha512":`},
		{"timestamp", `Z"`, `+00:00"`},
		{"snapshot", `"targets.json"`, `"targets2.json"`},
		{"targets", `"paths":["vad/*"]`, `"paths":["*"]`},
		{"targets", `"paths":["vad/*"]`, `"paths":["vad/*","x/*"]`},
		{"targets", `"name":"m-vad"`, `"name":"targets"`},
		{"targets", `"name":"m-vad"`, `"name":"m-../x"`},
		{"targets", `"threshold":1`, `"threshold":-1`},
		{"role", `"vad/1":{`, `"vad/1":null,"vad/2":{`},
		{"role", `"vad/1":{`, `"asr/1":{`},
		{"role", `"vad/1":{`, `"vad/..":{`},
		{"role", `"length":700`, `"length":0`},
		{"role", `"length":700`, `"length":999999999999`},
		{"role", `"sequence":1`, `"sequence":0`},
		{"role", `"sequence":1`, `"sequence":"1"`},
		{"role", `"hashes":{"sha256":`, `"hashes":{"md5":`},
		{"role", `"targets":{`, `"delegations":{"keys":{},"roles":[]},"targets":{`},
	} {
		bad := strings.Replace(string(docs[tc.doc]), tc.old, tc.new, 1)
		if bad == string(docs[tc.doc]) {
			t.Errorf("%s has no %s", tc.doc, tc.old)
			continue
		}
		if tc.new == `{"Version":9,"hashes"` {
			d, err := decodeTimestamp([]byte(bad))
			if err == nil && d.meta.Signed.Meta[snapshotEntry].Version != 1 {
				t.Error("a folded key counts")
			}
			continue
		}
		if err := decoders[tc.doc]([]byte(bad)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s with %s for %s: %v, want ErrMalformed", tc.doc, tc.new, tc.old, err)
		}
	}
}
