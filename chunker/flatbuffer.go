package chunker

// flatbuffer reads FlatBuffers (https://flatbuffers.dev/internals/) with every
// offset checked. Offsets may lead anywhere, also back; it never follows one
// on its own, so there is no way to loop. The first error sticks.
type flatbuffer struct{ *cursor }

// flatTable is a table: where it lies, and its vtable.
type flatTable struct {
	at          int64
	vtable      int64
	vtableBytes int64
	tableBytes  int64
	isThere     bool
}

// flatVector is a vector: where its elements begin and how many there are.
type flatVector struct {
	at    int64
	count int64
}

// num reads an unsigned number of width bytes, 1, 2, 4 or 8, at off.
func (f flatbuffer) num(off int64, width int) uint64 {
	if f.err != nil {
		return 0
	}
	if off < 0 || off > f.src.size-int64(width) {
		f.fail(off, "offset leads out of the file")
		return 0
	}
	data, err := f.src.peek(off, width)
	if err != nil {
		f.err = err
		return 0
	}
	var v uint64
	for i := width - 1; i >= 0; i-- {
		v = v<<8 | uint64(data[i])
	}
	return v
}

// indirect follows the offset that stands at off.
func (f flatbuffer) indirect(off int64) int64 {
	to := off + int64(f.num(off, 4))
	if f.err == nil && (to == off || to >= f.src.size) {
		f.fail(off, "offset leads to byte %d of %d", to, f.src.size)
	}
	return to
}

// table reads the head of the table at off.
func (f flatbuffer) table(off int64) flatTable {
	t := flatTable{at: off, isThere: true}
	t.vtable = off - int64(int32(f.num(off, 4)))
	if f.err == nil && (t.vtable < 0 || t.vtable > f.src.size-4) {
		f.fail(off, "table has its vtable at byte %d of %d", t.vtable, f.src.size)
	}
	t.vtableBytes = int64(f.num(t.vtable, 2))
	t.tableBytes = int64(f.num(t.vtable+2, 2))
	if f.err == nil && (t.vtableBytes < 4 || t.vtableBytes > f.src.size-t.vtable || t.tableBytes < 4 || t.tableBytes > f.src.size-off) {
		f.fail(off, "table of %d bytes with a vtable of %d", t.tableBytes, t.vtableBytes)
	}
	if f.err != nil {
		return flatTable{}
	}
	return t
}

// field returns where field number i of t lies, which is width bytes wide; !ok
// if it is absent and so has its default.
func (f flatbuffer) field(t flatTable, i int, width int64) (off int64, ok bool) {
	slot := int64(4 + 2*i)
	if !t.isThere || f.err != nil || slot+2 > t.vtableBytes {
		return 0, false
	}
	rel := int64(f.num(t.vtable+slot, 2))
	if rel == 0 || f.err != nil {
		return 0, false
	}
	if rel > t.tableBytes-width {
		f.fail(t.vtable+slot, "field %d at byte %d of a table of %d", i, rel, t.tableBytes)
		return 0, false
	}
	return t.at + rel, true
}

// scalar returns a number in field i of t, 0 if it is absent.
func (f flatbuffer) scalar(t flatTable, i, width int) uint64 {
	off, ok := f.field(t, i, int64(width))
	if !ok {
		return 0
	}
	return f.num(off, width)
}

// vector returns the vector in field i of t, with elements of width bytes;
// empty if it is absent.
func (f flatbuffer) vector(t flatTable, i int, width int64) flatVector {
	off, ok := f.field(t, i, 4)
	if !ok {
		return flatVector{}
	}
	at := f.indirect(off)
	v := flatVector{at: at + 4, count: int64(f.num(at, 4))}
	if f.err == nil && v.count > (f.src.size-v.at)/width {
		f.fail(at, "vector of %d elements of %d bytes, %d left", v.count, width, f.src.size-v.at)
	}
	if f.err != nil {
		return flatVector{}
	}
	return v
}

// element returns table number i of a vector of tables.
func (f flatbuffer) element(v flatVector, i int64) flatTable {
	return f.table(f.indirect(v.at + 4*i))
}
