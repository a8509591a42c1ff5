package codec
import ("testing";"encoding/binary";"math";"bytes";"fmt")
func TestZZ(t *testing.T) {
	for _, last := range []byte{0x45,7,1} {
	for pre := 0; pre < 60; pre++ {
	var w []byte
	for i := range 4096 { w = binary.LittleEndian.AppendUint32(w, math.Float32bits(float32(i))) }
	w[len(w)-1]=last
	chunk := append(bytes.Repeat([]byte{9}, pre), w...)
	segs := []Segment{{Other,pre},{F32,len(w)}}
	if pre==0 {segs=segs[1:]}
	for e := Light; e<=Strong; e++ {
		var c Coder
		f, err := c.Encode(nil, chunk, segs, e)
		if err!=nil {t.Fatal(err)}
		out, err := c.Decode(nil, f, len(chunk), segs)
		if err!=nil || !bytes.Equal(out,chunk) { fmt.Println(pre,last,e,f.Encoding,len(f.Payload),err) }
	}}}
}
