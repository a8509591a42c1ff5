package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Parameters are the named values that a JSON request, or a tensor in it,
// carries beside what the protocol fixes. At most [MaxParameters].
type Parameters map[string]json.RawMessage

// UnmarshalJSON reads a JSON object, or null. It stops at the bound.
func (p *Parameters) UnmarshalJSON(text []byte) error {
	*p = nil
	dec := json.NewDecoder(bytes.NewReader(text))
	tok, err := dec.Token()
	if err != nil || tok == nil {
		return err
	}
	if tok != json.Delim('{') {
		return fmt.Errorf("parameters are %v, want an object", tok)
	}
	for dec.More() {
		if len(*p) == MaxParameters {
			return fmt.Errorf("more than %d parameters", MaxParameters)
		}
		tok, err := dec.Token()
		if err != nil {
			return err
		}
		name, _ := tok.(string) // an object's names are strings
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return err
		}
		if *p == nil {
			*p = make(Parameters)
		}
		(*p)[name] = value
	}
	return nil
}

// Has tells whether there is such a parameter, whatever its value.
func (p Parameters) Has(name string) bool {
	_, ok := p[name]
	return ok
}

// Uint returns a number, and whether it is there. The error wraps
// [ErrMalformed] where it is no number from 0 on.
func (p Parameters) Uint(name string) (v uint64, ok bool, err error) {
	return parameter[uint64](p, name, "a number from 0 on")
}

// Bool returns a truth value, and whether it is there. The error wraps
// [ErrMalformed] where it is none.
func (p Parameters) Bool(name string) (v, ok bool, err error) {
	return parameter[bool](p, name, "true or false")
}

func parameter[T any](p Parameters, name, want string) (v T, ok bool, err error) {
	text, ok := p[name]
	if !ok || bytes.Equal(text, []byte("null")) {
		return v, false, nil
	}
	if err := json.Unmarshal(text, &v); err != nil {
		return v, false, fmt.Errorf("%w: parameter %q is %.40s, want %s", ErrMalformed, name, text, want)
	}
	return v, true, nil
}
