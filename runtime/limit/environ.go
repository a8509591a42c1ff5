package limit

import "os"

// Environ returns the settings of this process, as KEY=VALUE, that a child which
// runs a model gets too: what programs and the dynamic loader need, and
// nothing that may be a secret.
func Environ() []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "LANG", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DUNLIN_ONNXRUNTIME"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}
