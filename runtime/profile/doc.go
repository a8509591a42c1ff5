// Package profile says what a machine is and what it can run, as far as that can
// be read or measured: the node profile of `dunlin profile --node`.
//
// # Read, tried, measured
//
//   - [Machine] reads: system, instruction sets, cores, memory and what a control
//     group leaves of them, disk, accelerators. It takes milliseconds, starts
//     nothing, and is never cached.
//   - [Measure] also tries every execution provider, by loading a model of one
//     operator in a child process: that a library has a provider does not mean
//     that it works here, and one that crashes crashes there. What was found is
//     kept in profile.json under a key of library, drivers, kernel and
//     instruction sets, and tried again only when one of them has changed, or
//     when that is asked for.
//   - It measures, the same way and kept under the same key: multiplication of
//     matrices and convolution, in float32 and in int8, on the providers that
//     work, and the bandwidth of memory. Two seconds per provider.
//
// # Classes
//
// [Profile.Class] is a short hash over what decides whether two machines compute
// the same way: system, architecture, instruction sets, library, provider.
// Health of a release is counted by class: a release that fails on one CPU
// only is no bad release elsewhere.
//
// # Promised
//
// A provider that is not usable has a reason in words. What is unknown is zero or
// empty, never a guess. Nothing leaves the machine.
//
// # Not promised
//
// That figures of two machines can be compared to the last percent: they are
// taken once, on a machine that may have other work. That a provider which
// loads the small model loads every model.
//
// NVIDIA's GPUs are read from /proc/driver/nvidia, all others from /sys/class/drm;
// no vendor's library is needed to build or to run.
package profile
