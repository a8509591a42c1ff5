package runtime

import (
	"errors"
	"fmt"
	"testing"
)

func TestChooseEntry(t *testing.T) {
	many := make([]string, 100)
	for i := range many {
		many[i] = fmt.Sprintf("part%d.onnx", i)
	}
	for name, c := range map[string]struct {
		files []string
		want  string // empty: an error
	}{
		"the only file":          {[]string{"silero_vad.onnx"}, "silero_vad.onnx"},
		"with external data":     {[]string{"weights.bin", "net.onnx", "config.json"}, "net.onnx"},
		"in a folder":            {[]string{"onnx/net.ONNX"}, "onnx/net.ONNX"},
		"model.onnx among them":  {[]string{"encoder.onnx", "sub/model.onnx"}, "sub/model.onnx"},
		"several":                {[]string{"encoder.onnx", "decoder.onnx"}, ""},
		"model.onnx twice":       {[]string{"a/model.onnx", "b/model.onnx"}, ""},
		"none":                   {[]string{"model.tflite"}, ""},
		"nothing":                {nil, ""},
		"many, named in a bound": {many, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ChooseEntry(c.files)
			if got != c.want || (c.want == "") != errors.Is(err, ErrEntry) {
				t.Errorf("got %q, %v, want %q", got, err, c.want)
			}
			if err != nil && len(err.Error()) > 300 {
				t.Errorf("endless error: %v", err)
			}
		})
	}
}
