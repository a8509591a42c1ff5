package links

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// spender names, in the environment, the ledger that a child process is to spend
// from; see spend.
const spender = "DUNLIN_TEST_SPENDER"

func TestMain(m *testing.M) {
	if path := os.Getenv(spender); path != "" {
		spend(path)
		return
	}
	os.Exit(m.Run())
}

// spend takes small and large pieces and tells what passed after each, until it
// is killed or the budget ends.
func spend(path string) {
	set, err := Open(Options{Path: path, Class: Satellite, Links: []Config{budgeted}})
	if err != nil {
		fmt.Println(err)
		return
	}
	link, _ := set.Find(netip.Addr{}, netip.MustParseAddr("10.0.0.1"))
	for i := 0; ; i++ {
		granted, _, err := link.Take(Use{}, 1+i*7919%(64<<10), Up)
		if err != nil {
			fmt.Println("end")
			return
		}
		fmt.Println(WireBytes(int64(granted)))
	}
}

var budgeted = Config{Name: "sat", Match: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Day: 64 << 20, Month: 1 << 40}

// TestKillNine kills a process that spends, at random moments, and starts it
// again until the budget ends: what it told about never exceeds what the file
// says, the file is ahead by no more than is promised for each crash, and the
// budget is never passed.
func TestKillNine(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ledger.json")
	var told int64
	crashes := int64(0)
	for ended := false; !ended; {
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Env = append(os.Environ(), spender+"="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		killed := false
		for after := rand.IntN(400); lines.Scan(); after-- {
			if after == 0 && crashes < 25 {
				crashes++
				killed = true
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			if lines.Text() == "end" {
				ended = true
				break
			}
			n, err := strconv.ParseInt(lines.Text(), 10, 64)
			if err != nil {
				t.Fatalf("the child says %q", lines.Text())
			}
			told += n
		}
		if err := cmd.Wait(); (err == nil) != ended && !killed { // it may have said all before it was
			t.Fatalf("the child ended with %v", err)
		}
		l, err := openLedger(path, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		spent, _ := l.spent("sat", time.Now())
		// A piece that was counted may have been killed before it was told.
		most := told + (crashes+1)*(int64(budgeted.Day)/64+WireBytes(64<<10)) + packetBytes + headerBytes
		if spent < told || spent > most || told > int64(budgeted.Day) {
			t.Fatalf("%d were told after %d crashes, the file says %d, at most %d; the budget is %d", told, crashes, spent, most, int64(budgeted.Day))
		}
	}
	if crashes == 0 {
		t.Error("nothing was killed")
	}
	t.Logf("%d crashes, %.1f of %.1f MiB passed", crashes, float64(told)/(1<<20), float64(budgeted.Day)/(1<<20))
}
