package lab_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/testnet/lab"
)

// What a killed run left behind is gone once another lab is made. The test
// runs itself as that other process.
func TestLeftoversOfAKilledRunAreRemoved(t *testing.T) {
	const child = "DUNLIN_LAB_LEAVE"
	if os.Getenv(child) != "" {
		l, err := lab.New(t.Context(), lab.Config{Sites: []lab.Site{{Nodes: 1}}})
		if err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("made " + l.Node(0, 0).Exec()[3] + "\n")
		os.Exit(0) // without Close, as if killed
	}
	if err := lab.Available(); err != nil {
		t.Skip(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	name, ok := strings.CutPrefix(strings.TrimSpace(string(out)), "made ")
	if !ok {
		t.Fatalf("the other process said %q", out)
	}
	path := filepath.Join("/run/netns", name)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("nothing was left behind to remove: %v", err)
	}
	newLab(t, lab.Site{})
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", path, err)
	}
}
