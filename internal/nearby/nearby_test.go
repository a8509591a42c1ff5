package nearby_test

import (
	"net"
	"testing"

	"github.com/dunlin-mesh/dunlin/internal/nearby"
)

func TestIP(t *testing.T) {
	for ip, want := range map[string]bool{
		"127.0.0.1": true, "::1": true, "169.254.7.7": true, "fe80::1": true,
		"203.0.113.9": false, "2001:db8::9": false, // for documentation: on no machine's links
	} {
		if got := nearby.IP(net.ParseIP(ip)); got != want {
			t.Errorf("%s: %v", ip, got)
		}
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && !nearby.IP(n.IP) {
			t.Errorf("%s of this machine is not nearby", n)
		}
	}
}
