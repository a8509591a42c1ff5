package enginetest_test

import (
	"testing"

	"github.com/dunlin-mesh/dunlin/runtime/enginetest"
)

func TestFake(t *testing.T) { enginetest.Run(t, enginetest.Fake{}.Subject(t)) }
