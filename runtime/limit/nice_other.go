//go:build !unix

package limit

const canNice = false

func settle(int, Limits) {}
