package trust

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// crowd is how many models the benchmarks' publisher has.
const crowd = 4000

// crowded returns a signer of a publisher with many models, made at once.
func crowded(t testing.TB, models int) *Signer {
	t.Helper()
	r := newRepo(t)
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	r.keys[keyLabel] = key
	for role := range r.roleKeys {
		r.roleKeys[role] = []string{keyLabel}
	}
	for i := range models {
		r.model(fmt.Sprintf("model-%04d", i), keyLabel).release("1.0.0", 1, "x")
	}
	u := r.update()
	v, err := advance(&view{publisher: u.Publisher}, u, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "acme")
	der := must(x509.MarshalPKCS8PrivateKey(key))
	must(0, os.Mkdir(dir, 0o700))
	must(0, os.WriteFile(filepath.Join(dir, keyFile), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	must(0, v.save(filepath.Join(dir, signerFile)))
	s, err := OpenSigner(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// One release among thousands of models: signed, then believed by a node.
func BenchmarkThousandsSign(b *testing.B) {
	s := crowded(b, crowd)
	i := 0
	for b.Loop() {
		i++
		sign(b, s, "acme/model-0007", fmt.Sprint("2.", i))
	}
}

func BenchmarkThousandsApply(b *testing.B) {
	s := crowded(b, crowd)
	r := newRegistry(b, s.Root())
	catchUp(b, r, s.Fingerprint(), s.Update)
	i := 0
	for b.Loop() {
		b.StopTimer()
		i++
		sign(b, s, "acme/model-0007", fmt.Sprint("2.", i))
		b.StartTimer()
		catchUp(b, r, s.Fingerprint(), s.Update)
	}
}

func BenchmarkThousandsOpen(b *testing.B) {
	s := crowded(b, crowd)
	dir := b.TempDir()
	r := openRegistry(b, dir, nil)
	must(r.Pin(s.Root()))
	catchUp(b, r, s.Fingerprint(), s.Update)
	must(0, r.Close())
	for b.Loop() {
		r := openRegistry(b, dir, nil)
		must(0, r.Close())
	}
}

// What a status of a node asks for.
func BenchmarkThousandsStatus(b *testing.B) {
	s := crowded(b, crowd)
	r := newRegistry(b, s.Root())
	catchUp(b, r, s.Fingerprint(), s.Update)
	for b.Loop() {
		_ = r.Publishers()
		for _, model := range r.Models() {
			if _, ok := r.Latest(model); !ok {
				b.Fatal(model)
			}
		}
	}
}
