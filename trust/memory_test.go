package trust

import (
	"errors"
	"fmt"
	"testing"
)

func releasesOf(from, to int) *modelRole {
	role := &modelRole{}
	for i := to; i >= from; i-- {
		role.releases = append(role.releases, record{Version: fmt.Sprint(i), Sequence: uint64(i), Manifest: [32]byte{byte(i)}, Size: 1})
	}
	return role
}

func TestMemoryIsBounded(t *testing.T) {
	v := &view{memories: map[string]*memory{}, roles: map[string]*modelRole{}}
	const signed = maxRememberedPerModel + 100
	for i := 1; i <= signed; i++ {
		role := releasesOf(i, i)
		m, err := v.memories["m"].learn("m", role)
		if err != nil {
			t.Fatal(err)
		}
		v.memories["m"], v.roles["m"] = m, role
		if err := forget(v); err != nil {
			t.Fatal(err)
		}
	}
	m := v.memories["m"]
	if len(m.records) != maxRememberedPerModel || m.newest != signed {
		t.Errorf("%d records, newest %d", len(m.records), m.newest)
	}
	if _, ok := m.find("100"); ok {
		t.Error("the oldest were not forgotten first")
	}
	if _, ok := m.find("101"); !ok {
		t.Error("forgot more than it must")
	}
}

func TestMemoryForgetsNothingThatIsListed(t *testing.T) {
	role := releasesOf(1, 3)
	v := &view{memories: map[string]*memory{}, roles: map[string]*modelRole{"m": role}}
	m, err := (*memory)(nil).learn("m", role)
	if err != nil {
		t.Fatal(err)
	}
	for i := 10; i < maxRememberedPerModel+20; i++ {
		m.records = append(m.records, record{Version: fmt.Sprint(i), Sequence: uint64(i)})
	}
	v.memories["m"] = m
	if err := forget(v); err != nil {
		t.Fatal(err)
	}
	for _, r := range role.releases {
		if _, ok := v.memories["m"].find(r.Version); !ok {
			t.Errorf("forgot %s, which is listed", r.Version)
		}
	}
	for i := range 2*MaxModels + 1 {
		v.memories[fmt.Sprint(i)] = &memory{}
	}
	if err := forget(v); !errors.Is(err, ErrMalformed) {
		t.Errorf("models without bound: %v", err)
	}
}
