// Package derive makes a better basis for a tensor from the old one.
package derive
