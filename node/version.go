package node

// Version is the version of this software.
const Version = "0.1.0"
