package chunker

import (
	"encoding/binary"
	"math"
	"strings"

	"github.com/dunlin-mesh/dunlin/manifest"
)

const (
	zipFormat = "zip"
	npzFormat = "npz"
)

// Signatures and fixed lengths of ZIP records
// (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT).
const (
	zipLocalMagic   = "PK\x03\x04"
	zipEndMagic     = "PK\x05\x06"
	zipCentral      = 0x02014b50
	zipLocal        = 0x04034b50
	zip64End        = 0x06064b50
	zip64Locator    = 0x07064b50
	zipCentralBytes = 46
	zipEndBytes     = 22
	zip64EndBytes   = 56
	locatorBytes    = 20
	zip64Extra      = 1
	zipStored       = 0
	maxZipComment   = math.MaxUint16
)

// decodeZip reads the central directory of a ZIP file: TorchScript and PyTorch
// checkpoints, numpy's .npz, and any other. Each entry that is not empty is a
// tensor named as the entry: a stored .npy file's array with its type, all else
// as bytes. Names are names here, no paths: nothing is ever opened by them.
func decodeZip(src *source) (*structure, error) {
	d := &zipDecoder{src: src}
	directory, count, err := d.end()
	if err != nil {
		return nil, err
	}
	c := src.cursor(zipFormat, directory)
	if count > directory.bytes()/zipCentralBytes {
		c.fail(directory.start, "%d entries in a directory of %d bytes", count, directory.bytes())
	}
	for i := uint64(0); i < count && c.err == nil; i++ {
		d.entry(c)
	}
	if c.err != nil {
		return nil, c.err
	}
	tensors, err := d.tensors.separate(src, zipFormat)
	if err != nil {
		return nil, err
	}
	s := &structure{format: zipFormat, tensors: tensors}
	if count > 0 && d.others == 0 {
		s.format = npzFormat
	}
	return s, nil
}

type zipDecoder struct {
	src     *source
	tensors tensorTable
	packed  uint64 // bytes of the entries so far
	others  int    // entries that are no .npy
}

// end finds the record at the file's end and returns where the central
// directory lies, and how many entries it has.
func (d *zipDecoder) end() (directory span, count uint64, err error) {
	at, err := d.findEnd()
	if err != nil {
		return span{}, 0, err
	}
	c := d.src.cursor(zipFormat, span{at + 4, d.src.size})
	disk, startDisk, here := c.u16(), c.u16(), c.u16()
	count, size, start := uint64(c.u16()), uint64(c.u32()), uint64(c.u32())
	limit := at
	if count == math.MaxUint16 || size == math.MaxUint32 || start == math.MaxUint32 {
		if zip64 := d.zip64(c, at); zip64 != nil {
			limit = zip64.at - 4
			zip64.run(20, "zip64 record") // its length, versions and disks
			zip64.u64()
			count, size, start = zip64.u64(), zip64.u64(), zip64.u64()
			c.err = zip64.err
		}
	} else if disk != startDisk || uint64(here) != count {
		c.fail(at, "archive of several disks")
	}
	if c.err == nil && (start > uint64(limit) || size > uint64(limit)-start) {
		c.fail(at, "directory is bytes %d+%d, but ends before %d", start, size, limit)
	}
	if c.err != nil {
		return span{}, 0, c.err
	}
	return span{int64(start), int64(start + size)}, count, nil
}

// findEnd looks backwards for the end record: behind it stands a comment of up
// to 64 KiB.
func (d *zipDecoder) findEnd() (int64, error) {
	lowest := max(0, d.src.size-zipEndBytes-maxZipComment)
	for at := d.src.size - zipEndBytes; at >= lowest; at-- {
		b, err := d.src.peek(at, zipEndBytes)
		if err != nil {
			return 0, err
		}
		if string(b[:4]) == zipEndMagic && at+zipEndBytes+int64(binary.LittleEndian.Uint16(b[20:])) == d.src.size {
			return at, nil
		}
	}
	return 0, d.src.malformed(zipFormat, d.src.size, "no end record: the file is cut short")
}

// zip64 returns a cursor behind the signature of the zip64 end record, nil if
// there is none, which is possible for a directory of exactly 65535 entries.
func (d *zipDecoder) zip64(c *cursor, end int64) *cursor {
	if end < locatorBytes {
		return nil
	}
	locator := d.src.cursor(zipFormat, span{end - locatorBytes, end})
	if locator.u32() != zip64Locator {
		c.err = locator.err
		return nil
	}
	locator.u32() // disk
	at := locator.u64()
	if locator.err == nil && at > uint64(end-locatorBytes-zip64EndBytes) {
		locator.fail(locator.at, "zip64 record at byte %d", at)
	}
	if c.err = locator.err; c.err != nil {
		return nil
	}
	record := d.src.cursor(zipFormat, span{int64(at), end - locatorBytes})
	if record.u32() != zip64End {
		record.fail(int64(at), "no zip64 record")
	}
	return record
}

// entry reads one record of the central directory.
func (d *zipDecoder) entry(c *cursor) {
	at := c.at
	if c.u32() != zipCentral {
		c.fail(at, "no directory entry")
	}
	c.run(4, "versions")
	flags, method := c.u16(), c.u16()
	c.run(8, "time and checksum")
	packed, size := uint64(c.u32()), uint64(c.u32())
	nameBytes, extraBytes, commentBytes := uint64(c.u16()), uint64(c.u16()), uint64(c.u16())
	c.run(8, "attributes")
	offset := uint64(c.u32())
	name := c.text(nameBytes, "entry name")
	extra := c.run(extraBytes, "extra field")
	c.run(commentBytes, "comment")
	if c.err == nil {
		c.err = d.zip64Sizes(extra, &size, &packed, &offset)
	}
	if c.err != nil {
		return
	}
	const encrypted = 1
	data := d.data(c, at, name, offset, packed)
	if d.packed += packed; d.packed > uint64(d.src.size) && c.err == nil {
		c.fail(at, "entries have more bytes than the file: %s overlaps others", quoted(name))
	}
	stored := method == zipStored && flags&encrypted == 0
	if stored && c.err == nil && packed != size {
		c.fail(at, "entry %s is stored, %d bytes as %d", quoted(name), size, packed)
	}
	if c.err == nil {
		c.err = d.add(name, at, data, stored)
	}
}

// zip64Sizes replaces what did not fit 32 bits by what the extra field has.
func (d *zipDecoder) zip64Sizes(extra span, values ...*uint64) error {
	c := d.src.cursor(zipFormat, extra)
	for c.err == nil && c.left() >= 4 {
		kind, length := c.u16(), uint64(c.u16())
		if length > c.left() {
			return nil // not for us: writers pad local alignment this way
		}
		field := c.run(length, "extra field")
		if kind != zip64Extra {
			continue
		}
		f := d.src.cursor(zipFormat, field)
		for _, v := range values {
			if *v == math.MaxUint32 {
				*v = f.u64()
			}
		}
		return f.err
	}
	return c.err
}

// data returns where an entry's bytes lie: behind its local header, whose
// variable fields need not be those of the directory.
func (d *zipDecoder) data(c *cursor, at int64, name string, offset, packed uint64) span {
	size := uint64(d.src.size)
	if offset > size {
		c.fail(at, "entry %s at byte %d of %d", quoted(name), offset, size)
		return span{}
	}
	local := d.src.cursor(zipFormat, span{int64(offset), d.src.size})
	if local.u32() != zipLocal {
		local.fail(int64(offset), "no local header of entry %s", quoted(name))
	}
	local.run(22, "local header")
	rest := uint64(local.u16()) + uint64(local.u16())
	local.run(rest, "local header")
	data := local.run(packed, "entry "+quoted(name))
	c.err = local.err
	return data
}

func (d *zipDecoder) add(name string, at int64, data span, stored bool) error {
	e := entry{at: at, Tensor: manifest.Tensor{
		Name: name, DType: manifest.Bytes, Offset: uint64(data.start), Length: data.bytes(),
	}}
	if !strings.HasSuffix(name, ".npy") {
		d.others++
		d.tensors.add(e)
		return nil
	}
	if stored {
		head, err := d.src.peek(data.start, len(npyMagic))
		if err != nil {
			return err
		}
		if string(head) == npyMagic && data.bytes() >= uint64(len(npyMagic)) {
			if e, err = npyArray(d.src, npzFormat, data); err != nil {
				return err
			}
			e.Name, e.at = name, at
		}
	}
	d.tensors.add(e)
	return nil
}
