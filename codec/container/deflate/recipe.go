package deflate

import "fmt"

// Family is a program's way of compressing.
type Family uint8

// The families. Values are part of the format of [Recipe].
const (
	Zlib     Family = iota // zlib with memLevel 8, its default: Python's zlib, gzip and zipfile, numpy, HDF5
	ZlibMax                // zlib with memLevel 9: libzip and others that give it all memory
	Gzip                   // gzip(1) of GNU
	InfoZip                // zip(1) of Info-ZIP
	families               // number of families
)

func (f Family) String() string {
	if f < families {
		return [families]string{"zlib", "zlib-max", "gzip", "info-zip"}[f]
	}
	return fmt.Sprintf("family %d", uint8(f))
}

// Recipe says how bytes were compressed. The zero value is not valid.
type Recipe struct {
	Family Family
	Level  uint8 // 1 to 9
}

// Recipes lists every valid recipe, those that are met most often first.
func Recipes() []Recipe {
	list := make([]Recipe, 0, int(families)*9)
	for _, levels := range [][]uint8{{6, 9, 1}, {5, 4, 7, 8, 3, 2}} {
		for family := range families {
			for _, level := range levels {
				list = append(list, Recipe{family, level})
			}
		}
	}
	return list
}

// AppendBinary appends the recipe's two bytes, family and level, to b.
func (r Recipe) AppendBinary(b []byte) []byte { return append(b, byte(r.Family), r.Level) }

// ParseRecipe reads what [Recipe.AppendBinary] wrote. Anything else, or a
// family that this version does not know, is [ErrRecipe].
func ParseRecipe(b []byte) (Recipe, error) {
	if len(b) != 2 {
		return Recipe{}, fmt.Errorf("%w: %d bytes", ErrRecipe, len(b))
	}
	r := Recipe{Family(b[0]), b[1]}
	if r.Family >= families || r.Level < 1 || r.Level > 9 {
		return Recipe{}, fmt.Errorf("%w: %v, level %d", ErrRecipe, r.Family, r.Level)
	}
	return r, nil
}

// effort bounds the search for matches at one level.
type effort struct {
	good  int // a match as long as this at hand: search a quarter
	lazy  int // a match as long as this at hand: do not search for a better one; when greedy: longest match whose inside is indexed
	nice  int // a match as long as this is taken at once
	chain int // candidates to look at
}

// greedy is the highest level that takes each match as it comes.
const greedy = 3

// efforts are the same in zlib, gzip and zip: configuration_table in zlib's
// deflate.c, by level.
var efforts = [10]effort{
	1: {4, 4, 8, 4},
	2: {4, 5, 16, 8},
	3: {4, 6, 32, 32},
	4: {4, 4, 16, 16},
	5: {8, 16, 32, 32},
	6: {8, 16, 128, 128},
	7: {8, 32, 128, 256},
	8: {32, 128, 258, 1024},
	9: {32, 258, 258, 4096},
}

// trait is what tells the families apart.
type trait struct {
	hashShift int  // three bytes are hashed with this shift each
	hashBits  int  // into so many bits: collisions decide which candidates are seen
	symbols   int  // a block ends when it has so many
	early     bool // above level 2 a block that compresses well may end at a multiple of 4096 symbols
	past      bool // candidates are compared past the end of the input
	still     bool // the window does not slide any more once the input has ended
}

var traits = [families]trait{
	Zlib:    {hashShift: 5, hashBits: 15, symbols: 1<<14 - 1},
	ZlibMax: {hashShift: 6, hashBits: 16, symbols: 1<<15 - 1},
	Gzip:    {hashShift: 5, hashBits: 15, symbols: 1<<15 - 1, early: true, past: true, still: true},
	InfoZip: {hashShift: 5, hashBits: 15, symbols: 1<<15 - 1, early: true},
}
