package golden

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/dunlin-mesh/dunlin/internal/durable"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// Write runs each of cases on session and writes them, with what came out, as a
// golden set into the folder dir, which must not exist. rules, which may be nil,
// becomes golden.json. A folder that is half written is taken away again. Errors
// wrap ErrSet, fs.ErrExist, or are those of Run.
func Write(ctx context.Context, session modelrt.Session, cases []map[string]modelrt.Tensor, outputs map[string]Rule, dir string) (err error) {
	if len(cases) == 0 || len(cases) > MaxCases {
		return fmt.Errorf("%w: %d cases, must be 1 to %d", ErrSet, len(cases), MaxCases)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("write golden set: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	for i, inputs := range cases {
		got, err := session.Run(ctx, inputs)
		if err != nil {
			return fmt.Errorf("golden case %d: %w", i, err)
		}
		folder := filepath.Join(dir, "test_data_set_"+strconv.Itoa(i))
		if err := os.Mkdir(folder, 0o755); err != nil {
			return fmt.Errorf("write golden set: %w", err)
		}
		sig := session.Signature()
		err = errors.Join(writePorts(folder, "input_", sig.Inputs, inputs), writePorts(folder, "output_", sig.Outputs, got))
		if err != nil {
			return err
		}
	}
	if outputs == nil {
		return nil
	}
	data, err := json.MarshalIndent(rules{Schema: rulesSchema, Outputs: outputs}, "", "  ")
	if err == nil {
		_, err = decodeRules(data)
	}
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrSet, RulesName, err)
	}
	return durable.WriteFile(filepath.Join(dir, RulesName), append(data, '\n'), 0o644)
}

func writePorts(folder, prefix string, ports []modelrt.Port, tensors map[string]modelrt.Tensor) error {
	for i, p := range ports {
		data, err := EncodeTensor(p.Name, tensors[p.Name])
		if err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		if err := durable.WriteFile(filepath.Join(folder, prefix+strconv.Itoa(i)+".pb"), data, 0o644); err != nil {
			return fmt.Errorf("write golden set: %w", err)
		}
	}
	return nil
}
