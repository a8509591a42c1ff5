package delta_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/delta"
	"github.com/dunlin-mesh/dunlin/internal/synth"
)

func TestSynth(t *testing.T) {
	s := synth.Open("/work/shared/corpus")
	for _, class := range synth.Classes() {
		t.Run(class.Name, func(t *testing.T) {
			u, err := class.Make(s)
			if err != nil {
				t.Fatal(err)
			}
			a := delta.Version{R: bytes.NewReader(u.Old), Size: int64(len(u.Old)), Name: "old" + u.OldExt}
			b := delta.Version{R: bytes.NewReader(u.New), Size: int64(len(u.New)), Name: "new" + u.NewExt}
			var out, back bytes.Buffer
			r, err := delta.Encode(t.Context(), a, b, &out, delta.Options{Effort: codec.Strong})
			if err != nil {
				t.Fatal(err)
			}
			if err := delta.Decode(t.Context(), a, bytes.NewReader(out.Bytes()), &back, delta.Options{}); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(back.Bytes(), u.New) {
				t.Fatal("not the new file")
			}
			mark := ""
			if class.Reference > 0 && r.DeltaBytes > class.Reference {
				mark = "ABOVE"
			}
			t.Logf("SYNTH %-40s full %9d best %9d ref %9d ours %9d %.4f %s", class.Name, len(u.New), class.Best, class.Reference, r.DeltaBytes, float64(r.DeltaBytes)/float64(len(u.New)), mark)
			if os.Getenv("PARTS") != "" {
				for _, p := range r.Parts {
					if p.Coded > 1000 {
						t.Logf("%8d of %8d %s %s %.60s", p.Coded, p.Bytes, p.Encoding, p.DType, p.Name)
					}
				}
			}
		})
	}
}
