package runtime

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// ChooseEntry returns the file to load among a variant's files (relative,
// slash-separated paths): the only one that ends in .onnx, or else the only
// one called model.onnx. Errors wrap ErrEntry and name the files in question.
func ChooseEntry(files []string) (string, error) {
	models := slices.DeleteFunc(slices.Clone(files), func(f string) bool {
		return !strings.EqualFold(path.Ext(f), ".onnx")
	})
	if len(models) == 1 {
		return models[0], nil
	}
	named := slices.DeleteFunc(slices.Clone(models), func(f string) bool {
		return path.Base(f) != "model.onnx"
	})
	if len(named) == 1 {
		return named[0], nil
	}
	if len(models) == 0 {
		return "", fmt.Errorf("%w: no .onnx file among %s (this build runs ONNX models only)", ErrEntry, listed(files))
	}
	return "", fmt.Errorf("%w: %s (publish them as separate variants, or call one model.onnx)", ErrEntry, listed(models))
}

// listed names at most eight files.
func listed(files []string) string {
	const most = 8
	if len(files) == 0 {
		return "no files"
	}
	if len(files) <= most {
		return strings.Join(files, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(files[:most], ", "), len(files)-most)
}
