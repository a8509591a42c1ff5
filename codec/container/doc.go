// Package container sees through packed runs in model files: runs of bytes that
// encode other bytes, in which two versions have nothing in common although
// what they encode nearly is the same.
//
// # Use
//
//	packs, err := container.Find(ctx, file, size)
//	for _, p := range packs {
//		err = p.Unpack(file, unpacked)  // exactly p.Unpacked bytes
//		err = p.Repack(unpacked, run)   // exactly the bytes of the run again
//	}
//
// The bytes between the runs stay as they are: headers, names, lengths,
// checksums, and every packed run that is not in the list.
//
// # What is found
//
// A file is recognised by its beginning:
//
//	zip (PyTorch .pt, .npz, .keras, .zip)  deflated entries, by the central directory
//	gzip (model.onnx.gz, .npy.gz)          the stream of each member
//	zlib (joblib, pickles)                 the stream at the start
//	HDF5                                   zlib streams anywhere: chunks of datasets
//	NNUE (COMPRESSED_LEB128)               each section's numbers, as i16 where all fit, else i32
//
// A run is reported only if unpacking and repacking it gave the same bytes. For
// deflate that means to know who compressed it and how: package deflate holds
// the algorithms of zlib, gzip(1) and zip(1) at levels 1 to 9, and they are
// tried, in a fixed order, until one gives the stream; a wrong one nearly always
// shows in the first block. LEB128 repacks if every number is in its shortest
// form, which the decoder insists on.
//
// # Promises
//
// The same bytes give the same packs on every machine, and Repack the same run.
// Files and packs from peers may be hostile: Unpack never writes more than
// Unpacked, Repack never more than Length, and everything is a stream, so that
// memory is under 2 MiB for any size, besides the list, which has at most
// [MaxPacks] and takes under 16 MiB. A search unpacks at most 64 MiB and 16
// times the file, all attempts together; a deflate bomb is left packed. Work
// for a byte is bounded too, see [deflate.MaxSteps], at what zlib itself does at
// about 0.5 MB/s; so who searches files of strangers gives the context a
// deadline. A file that is no
// container costs a single read of 64 KiB.
//
// # Not here
//
// One layer only: what stands in an unpacked run is not looked into, nor are
// entries that a zip file stores as they are. Streams by other encoders (Go,
// libdeflate, zopfli, zlib-ng, Intel's and Apple's zlib, miniz, 7-Zip, pigz),
// with flushes, dictionaries or strategies, of level 0, and deflate64, bzip2,
// lzma and zstd stay packed; after eight unknown streams in a file the others are
// tried only as those that were known. Whether the result is the file that was meant is
// not checked: a receiver compares digests.
package container
