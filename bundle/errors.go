package bundle

import "errors"

// What may be wrong with a bundle, and what to do. Everything else is a failure
// of reading the file, of the store or of the decoder, passed on as it is.
var (
	// ErrMalformed says that the file is no bundle, was cut short or damaged, or
	// lies: nothing of it that was not verified is kept. Copy or export it anew.
	ErrMalformed = errors.New("not a bundle, or a damaged one")
	// ErrLacks says that the bundle leaves out something which this node does
	// not hold: it was made for a site that holds more. Export it anew, in full
	// or for the state of this site.
	ErrLacks = errors.New("the bundle is for a site that holds more than this one")
	// ErrTooLarge says that too much is asked of one bundle: export fewer
	// models at a time.
	ErrTooLarge = errors.New("too much for one bundle")
)
