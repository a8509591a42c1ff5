package trust

import (
	"errors"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
)

var errPending = errors.New("trust: being written")

// Publisher is one pinned publisher.
type Publisher struct {
	// Name is the signed name, or the expected one while Root is 0 ("" if none
	// was given).
	Name        string      `json:"name"`
	Fingerprint Fingerprint `json:"fingerprint"`
	// Root is the version of the root that is believed; 0 while the publisher
	// is pinned by fingerprint and its root has not arrived.
	Root      int64 `json:"root"`
	Timestamp int64 `json:"timestamp"` // version; 0 before the first update
	Models    int   `json:"models"`
	// Expires is when the first of the metadata expires; zero before the first
	// update. Stale says that it has.
	Expires time.Time `json:"expires"`
	Stale   bool      `json:"stale"`
	// Problem wraps ErrState where the publisher's state file is unusable, and
	// says what to do; all else is then zero except Fingerprint.
	Problem error `json:"-"`
}

// Evidence is proof that a publisher contradicted itself.
type Evidence struct {
	Publisher     Fingerprint `json:"publisher"`
	Name          string      `json:"name"`
	Role          string      `json:"role"`
	What          string      `json:"what"`
	First, Second []byte      `json:"-"`
	Seen          time.Time   `json:"seen"`
}

// Registry is a node's memory of publishers. Safe for concurrent use.
type Registry struct{}

func Open(Config) (*Registry, error)                   { return nil, errPending }
func (r *Registry) Pin(root []byte) (Publisher, error) { return Publisher{}, errPending }
func (r *Registry) PinFingerprint(name string, fp Fingerprint) (Publisher, error) {
	return Publisher{}, errPending
}
func (r *Registry) Unpin(nameOrFingerprint string) error    { return errPending }
func (r *Registry) Publishers() []Publisher                 { return nil }
func (r *Registry) Publisher(name string) (Publisher, bool) { return Publisher{}, false }
func (r *Registry) Heads() []Head                           { return nil }
func (r *Registry) CheckHead(Head) (Verdict, error)         { return HeadInvalid, errPending }
func (r *Registry) Have(Fingerprint) Have                   { return Have{} }
func (r *Registry) Update(Fingerprint, Have) (Update, bool, error) {
	return Update{}, false, errPending
}
func (r *Registry) Apply(Fingerprint, Update) (bool, error)                  { return false, errPending }
func (r *Registry) Latest(manifest.Model) (Release, bool)                    { return Release{}, false }
func (r *Registry) Releases(manifest.Model) []Release                        { return nil }
func (r *Registry) Release(m manifest.Model, version string) (Release, bool) { return Release{}, false }
func (r *Registry) Models() []manifest.Model                                 { return nil }
func (r *Registry) Evidence() ([]Evidence, error)                            { return nil, errPending }

// SignRequest is a release to be signed.
type SignRequest struct {
	Model           manifest.Model
	Version         string
	Manifest        manifest.CID
	Size            uint64
	MinSafeSequence uint64 // 0: unchanged
	Now             time.Time
}

// Signer holds a publisher's key. Safe for concurrent use.
type Signer struct{}

func CreatePublisher(dir, name string, now time.Time) (*Signer, error) { return nil, errPending }
func OpenSigner(dir string) (*Signer, error)                           { return nil, errPending }
func (s *Signer) Name() string                                         { return "" }
func (s *Signer) Fingerprint() Fingerprint                             { return Fingerprint{} }
func (s *Signer) Root() []byte                                         { return nil }
func (s *Signer) Sign(SignRequest) (Release, error)                    { return Release{}, errPending }
func (s *Signer) Refresh(now time.Time) error                          { return errPending }
func (s *Signer) Head() Head                                           { return Head{} }
func (s *Signer) Have() Have                                           { return Have{} }
func (s *Signer) Update(Have) (Update, bool, error)                    { return Update{}, false, errPending }
func (s *Signer) Close() error                                         { return nil }
