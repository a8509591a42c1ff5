package chunker

import (
	"path"
	"strconv"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Fields of StringStringEntryProto, and the longest number in decimal.
const (
	entryKey, entryValue = 1, 2
	maxDecimal           = 20
)

// externalData is where a tensor with data_location EXTERNAL lies
// (https://github.com/onnx/onnx/blob/main/docs/ExternalData.md).
type externalData struct {
	location       string
	offset, length uint64
	hasLength      bool
}

// externalEntry reads one pair of key and value. Keys that say nothing of the
// place, such as checksum, are passed over.
func (d *onnxDecoder) externalEntry(to *externalData, m span) error {
	var key, value span
	err := d.each(m, func(f *field) error {
		switch f.number {
		case entryKey:
			key = f.span
		case entryValue:
			value = f.span
		}
		return nil
	})
	if err != nil {
		return err
	}
	name, err := d.src.text(key)
	if err != nil {
		return err
	}
	switch name {
	case "location":
		to.location, err = d.location(value)
	case "offset":
		to.offset, err = d.decimal(name, value)
	case "length":
		to.hasLength = true
		to.length, err = d.decimal(name, value)
	}
	return err
}

// location reads the path of a data file: relative to the model's folder and
// inside it, since what leads outside names a file that no variant can have.
func (d *onnxDecoder) location(value span) (string, error) {
	if value.bytes() > manifest.MaxPathBytes {
		return "", d.malformed(value.start, "external data location of %d bytes, at most %d", value.bytes(), manifest.MaxPathBytes)
	}
	text, err := d.src.text(value)
	if err != nil {
		return "", err
	}
	text = path.Clean(text)
	if err := manifest.ValidatePath(text); err != nil {
		return "", d.malformed(value.start, "external data location: %v", err)
	}
	return text, nil
}

func (d *onnxDecoder) decimal(key string, value span) (uint64, error) {
	text := ""
	if value.bytes() <= maxDecimal {
		var err error
		if text, err = d.src.text(value); err != nil {
			return 0, err
		}
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, d.malformed(value.start, "external data %s is no number", key)
	}
	return n, nil
}

// outside adds a tensor whose data lies in another file.
func (d *onnxDecoder) outside(t *onnxTensor) error {
	x := &t.external
	if x.location == "" {
		return d.malformed(t.at, "tensor %s lies in another file, but does not say in which", quoted(t.name))
	}
	want, known := t.expected()
	if known && x.hasLength && x.length != want {
		return d.malformed(t.at, "tensor %s says %d elements of %s but has %d bytes in %s", quoted(t.name), t.elements, t.dtype(), x.length, quoted(x.location))
	}
	if !known && !x.hasLength {
		return nil // strings or the like to the end of the file: nothing to align
	}
	if !known {
		want = x.length
	}
	d.external.add(entry{Tensor: t.describe(x.offset, want), at: t.at, location: x.location})
	return nil
}
