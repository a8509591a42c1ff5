package chunker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// File is one file of a variant, to be laid out together with the others.
type File struct {
	// Path is the file's place in the variant, as in [manifest.File], unique.
	Path string
	// Size is its length in bytes.
	Size int64
	// Open opens it for reading; Layouts closes what it returns. An *os.File
	// is a Reader. It is called up to twice, one file at a time.
	Open func() (Reader, error)
}

// Reader is an open file.
type Reader interface {
	io.ReaderAt
	io.Closer
}

// Layouts lays out all files of a variant; the result's order is that of
// files. It is [Layout] for each, but that a file in which an ONNX model beside
// it keeps tensors (data_location EXTERNAL) is laid out by these, as format
// "onnx-data", unless it is of a known format itself. A tensor that lies
// outside its data file, or in a file that is not among files, is the model's
// lie: a [*FormatError] that names the model.
//
// Tensors that several names or models share are one tensor; where two overlap
// in part, the longer stays. It takes the memory of Layout, and that of the
// tables of all tensors kept in data files, at most a block for each model.
func Layouts(ctx context.Context, files []File, opt Options) ([]*manifest.Layout, error) {
	if err := opt.Validate(); err != nil {
		return nil, fmt.Errorf("lay out: %w", err)
	}
	layouts := make([]*manifest.Layout, len(files))
	byPath := make(map[string]int, len(files))
	for i := range files {
		byPath[files[i].Path] = i
	}
	elsewhere := make(map[int]*tensorTable)
	var unknown []int
	for i := range files {
		err := withSource(ctx, &files[i], func(src *source) error {
			found, err := recognise(src)
			if err != nil {
				return err
			}
			if found == nil {
				unknown = append(unknown, i)
				return nil
			}
			if layouts[i], err = found.layout(src); err != nil {
				return err
			}
			return placeExternal(src, found.external, files, byPath, elsewhere)
		})
		if err != nil {
			return nil, err
		}
	}
	for _, i := range unknown {
		err := withSource(ctx, &files[i], func(src *source) (err error) {
			if table := elsewhere[i]; table != nil {
				data := &structure{format: "onnx-data", tensors: table.longest()}
				layouts[i], err = data.layout(src)
				return err
			}
			layouts[i], err = unstructured(ctx, src, opt)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return layouts, nil
}

// withSource calls do with the file's bytes.
func withSource(ctx context.Context, f *File, do func(*source) error) (err error) {
	r, err := f.Open()
	if err != nil {
		return fmt.Errorf("lay out %s: %w", f.Path, err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	src, err := newSource(ctx, r, f.Size, f.Path)
	if err != nil {
		return err
	}
	return do(src)
}

// placeExternal adds the tensors that the model src keeps elsewhere to their
// files' tables.
func placeExternal(src *source, external []entry, files []File, byPath map[string]int, elsewhere map[int]*tensorTable) error {
	for _, e := range external {
		at := path.Join(path.Dir(src.name), e.location)
		file, ok := byPath[at]
		if !ok {
			return src.malformed(onnxFormat, e.at, "tensor %s lies in %s, which is not among the variant's files: publish the folder that has both", quoted(e.Name), quoted(at))
		}
		if size := uint64(files[file].Size); e.Offset > size || e.Length > size-e.Offset {
			return src.malformed(onnxFormat, e.at, "tensor %s is bytes %d+%d of %s, which has %d", quoted(e.Name), e.Offset, e.Length, quoted(at), size)
		}
		if elsewhere[file] == nil {
			elsewhere[file] = &tensorTable{}
		}
		e.location = ""
		elsewhere[file].add(e)
	}
	return nil
}
