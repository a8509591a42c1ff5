package main

import (
	"bytes"
	"fmt"
	"os"
)

// same compares a file with what it should hold.
func same(path string, want []byte) error {
	got, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%s is not what was published", path)
	}
	return nil
}
