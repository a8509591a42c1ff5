package container

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"slices"
)

// Records of ZIP: their signatures, lengths without variable fields, and what
// stands where in them (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3).
const (
	zipLocalMagic   = "PK\x03\x04"
	zipLocalBytes   = 30
	zipEntryMagic   = "PK\x01\x02"
	zipEntryBytes   = 46
	zipEndMagic     = "PK\x05\x06"
	zipEndBytes     = 22
	zip64EndMagic   = "PK\x06\x06"
	zip64EndBytes   = 56
	zip64Locator    = "PK\x06\x07"
	zip64LocBytes   = 20
	zip64Extra      = 1
	zipDeflated     = 8
	zipEncrypted    = 1<<0 | 1<<6 | 1<<13
	maxZipComment   = math.MaxUint16
	maxZipEntries   = 1 << 17 // of which more are not looked at
	maxZipDirectory = 64 << 20
)

// member is a deflated entry.
type member struct{ start, length int64 }

// zip finds the streams of the deflated entries of a ZIP file, by its central
// directory.
func (s *search) zip() error {
	start, length, err := s.zipDirectory()
	if err != nil || length == 0 {
		return err
	}
	members, err := s.zipMembers(start, min(length, maxZipDirectory))
	if err != nil {
		return err
	}
	slices.SortFunc(members, func(a, b member) int { return cmp.Compare(a.start, b.start) })
	var end int64
	for _, m := range members {
		if m.start < end { // entries that share bytes: a bomb
			continue
		}
		p, ok, err := s.deflated(m.start, m.start+m.length, minDeflated)
		if err != nil {
			return err
		}
		if ok && p.Length == m.length {
			if err := s.add(p); err != nil {
				return err
			}
		}
		end = m.start + m.length
	}
	return nil
}

// zipDirectory returns where the central directory lies, length 0: there is
// none that can be read.
func (s *search) zipDirectory() (start, length int64, err error) {
	tail := make([]byte, min(s.size, zipEndBytes+maxZipComment))
	base := s.size - int64(len(tail))
	if err := s.readAt(tail, base); err != nil {
		return 0, 0, err
	}
	for at := len(tail) - zipEndBytes; at >= 0; at-- {
		b := tail[at:]
		if string(b[:4]) != zipEndMagic || zipEndBytes+int(binary.LittleEndian.Uint16(b[20:])) != len(b) {
			continue
		}
		end := base + int64(at)
		length, start := uint64(binary.LittleEndian.Uint32(b[12:])), uint64(binary.LittleEndian.Uint32(b[16:]))
		if length == math.MaxUint32 || start == math.MaxUint32 || binary.LittleEndian.Uint16(b[10:]) == math.MaxUint16 {
			start, length, err = s.zip64Directory(end, start, length)
			if err != nil {
				return 0, 0, err
			}
		}
		if start > uint64(end) || length > uint64(end)-start {
			return 0, 0, nil
		}
		return int64(start), int64(length), nil
	}
	return 0, 0, nil
}

// zip64Directory returns what the zip64 end record says, if there is one
// before the end record at end; else start and length as they are.
func (s *search) zip64Directory(end int64, start, length uint64) (_, _ uint64, err error) {
	if end < zip64LocBytes+zip64EndBytes {
		return start, length, nil
	}
	var locator [zip64LocBytes]byte
	if err := s.readAt(locator[:], end-zip64LocBytes); err != nil {
		return 0, 0, err
	}
	at := binary.LittleEndian.Uint64(locator[8:])
	if string(locator[:4]) != zip64Locator || at > uint64(end-zip64LocBytes-zip64EndBytes) {
		return start, length, nil
	}
	var record [zip64EndBytes]byte
	if err := s.readAt(record[:], int64(at)); err != nil {
		return 0, 0, err
	}
	if string(record[:4]) != zip64EndMagic {
		return start, length, nil
	}
	return binary.LittleEndian.Uint64(record[48:]), binary.LittleEndian.Uint64(record[40:]), nil
}

// zipMembers reads the directory up to the first entry that makes no sense.
func (s *search) zipMembers(start, length int64) (members []member, err error) {
	part := section{r: s.r, at: start, end: start + length}
	directory := bufio.NewReaderSize(&part, pieceBytes)
	var variable []byte
	for range maxZipEntries {
		var e [zipEntryBytes]byte
		_, err := io.ReadFull(directory, e[:])
		if err == nil && string(e[:4]) == zipEntryMagic {
			name, extra, comment := int(binary.LittleEndian.Uint16(e[28:])), int(binary.LittleEndian.Uint16(e[30:])), int(binary.LittleEndian.Uint16(e[32:]))
			variable = slices.Grow(variable[:0], name+extra+comment)[:name+extra+comment]
			if _, err = io.ReadFull(directory, variable); err == nil {
				var m member
				var ok bool
				if m, ok, err = s.zipMember(&e, variable[name:name+extra]); ok {
					members = append(members, m)
				}
			}
		} else if err == nil {
			return members, nil
		}
		switch {
		case part.err != nil:
			return nil, part.err
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return members, nil
		case err != nil:
			return nil, err
		}
	}
	return members, nil
}

// zipMember returns where an entry's stream lies; ok is false if it is not
// deflated or not where it should be.
func (s *search) zipMember(e *[zipEntryBytes]byte, extra []byte) (m member, ok bool, err error) {
	flags, method := binary.LittleEndian.Uint16(e[8:]), binary.LittleEndian.Uint16(e[10:])
	if method != zipDeflated || flags&zipEncrypted != 0 {
		return m, false, nil
	}
	packed, size, offset := uint64(binary.LittleEndian.Uint32(e[20:])), uint64(binary.LittleEndian.Uint32(e[24:])), uint64(binary.LittleEndian.Uint32(e[42:]))
	zip64Fields(extra, &size, &packed, &offset)
	if size < minDeflated || offset > uint64(s.size) || s.size-int64(offset) < zipLocalBytes {
		return m, false, nil
	}
	var local [zipLocalBytes]byte
	if err := s.readAt(local[:], int64(offset)); err != nil {
		return m, false, err
	}
	if !bytes.HasPrefix(local[:], []byte(zipLocalMagic)) {
		return m, false, nil
	}
	start := int64(offset) + zipLocalBytes + int64(binary.LittleEndian.Uint16(local[26:])) + int64(binary.LittleEndian.Uint16(local[28:]))
	if start > s.size || packed > uint64(s.size-start) {
		return m, false, nil
	}
	return member{start, int64(packed)}, true, nil
}

// zip64Fields replaces what did not fit 32 bits by what the extra field has.
func zip64Fields(extra []byte, values ...*uint64) {
	for len(extra) >= 4 {
		kind, n := binary.LittleEndian.Uint16(extra), int(binary.LittleEndian.Uint16(extra[2:]))
		if n > len(extra)-4 {
			return
		}
		field := extra[4 : 4+n]
		extra = extra[4+n:]
		if kind != zip64Extra {
			continue
		}
		for _, v := range values {
			if *v == math.MaxUint32 && len(field) >= 8 {
				*v, field = binary.LittleEndian.Uint64(field), field[8:]
			}
		}
	}
}
