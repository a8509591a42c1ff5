package runtime

import "time"

// Supervised is a [Session] whose model runs in a worker process, which may end
// without harm to this one and is started again then. The session keeps its
// place meanwhile: requests that were under way fail with ErrWorker, later ones
// wait for the new worker. A session that stands before another one, such as a
// queue, has a method Unwrap() Session, by which that one is found.
type Supervised interface {
	// Worker tells how the worker is. It does not wait. An activator that sees
	// Crashes grow may go back to the previous release.
	Worker() Worker
}

// Worker is what is known of a session's worker process at one moment.
type Worker struct {
	// PID is its process ID, 0 while none is ready.
	PID int `json:"pid"`
	// Since is when it became ready.
	Since time.Time `json:"since,omitzero"`
	// ResidentBytes is the memory that it takes, mapped files included; 0 where
	// the operating system does not tell.
	ResidentBytes int64 `json:"resident_bytes"`
	// Crashes is how often a worker of this session ended unasked or had to be
	// killed, and Restarts how often one was started in its place.
	Crashes  int `json:"crashes"`
	Restarts int `json:"restarts"`
	// LastCrash says what ended the last one, and LastCrashAt when.
	LastCrash   string    `json:"last_crash,omitempty"`
	LastCrashAt time.Time `json:"last_crash_at,omitzero"`
}

// workerOf is what s, or the session that it stands before, tells about its
// worker; nil for a session in this process.
func workerOf(s Session) *Worker {
	for {
		switch of := s.(type) {
		case Supervised:
			w := of.Worker()
			return &w
		case interface{ Unwrap() Session }:
			s = of.Unwrap()
		default:
			return nil
		}
	}
}
