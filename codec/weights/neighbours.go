package weights

// neighbours remember how large the elements around the next one are: those
// before it in its row and those in the row above.
type neighbours struct {
	last, row uint64   // averages of the last few, and of the last few dozen
	left      [2]int64 // the last two differences; of floats without basis, classes
	changed   int      // elements since the row began that differ from their basis
	col, cols int
	columns   []column // column i at i+1, with one more at both ends

	// Columns are made when they are come to, so that an array costs what its
	// elements do: those up to head, and those from start to tail, are made.
	fresh             column
	head, start, tail int
}

// column is what is known of one.
type column struct {
	above uint64 // the magnitude of the last element
	mean  uint64 // the average of all
	sign  int64  // of the last element: -1, 0 or 1
}

// begin starts an array of rows of cols, at column start, with magnitudes of
// mean to expect.
func (n *neighbours) begin(cols, start int, mean uint64) {
	if cap(n.columns) < cols+2 {
		n.columns = make([]column, cols+2)
	}
	*n = neighbours{
		last: mean, row: mean, cols: cols, col: start, columns: n.columns[:cols+2],
		fresh: column{above: mean, mean: mean}, start: start, tail: start,
	}
}

// prepare makes the columns that the next count elements look at.
func (n *neighbours) prepare(count int) {
	at := n.col
	if n.tail < len(n.columns) {
		n.tail = n.make(n.tail, min(at+count+2, len(n.columns)))
		if count -= n.cols - at; count <= 0 {
			return
		}
		at = 0
	}
	n.head = n.make(n.head, min(at+count+2, n.start))
}

func (n *neighbours) make(from, to int) int {
	for i := from; i < to; i++ {
		n.columns[i] = n.fresh
	}
	return max(from, to)
}

// around returns the columns of the next element and of those beside it.
func (n *neighbours) around() *[3]column { return (*[3]column)(n.columns[n.col:]) }

// forecast is how the magnitude of an element is foretold, each time from other
// neighbours.
type forecast int

const (
	byLast   forecast = iota // the last few elements
	byRow                    // the last few dozen
	byAbove                  // the three elements of the row above
	byColumn                 // the column so far
	byAll                    // a blend of them
	forecasts
)

// levels returns the levels that the next element's magnitude is foretold to
// have, above a base.
func (n *neighbours) levels(base int) [forecasts]int {
	c := n.around()
	above := (c[0].above + 2*c[1].above + c[2].above) / 4
	if n.col == 0 {
		above = (3*c[1].above + c[2].above) / 4
	}
	return [forecasts]int{
		byLast:   level(n.last) - base,
		byRow:    level(n.row) - base,
		byAbove:  level(above) - base,
		byColumn: level(c[1].mean) - base,
		byAll:    level((n.last+n.row+above+c[1].mean)/4) - base,
	}
}

// skip goes on by count elements, of which nothing is learned.
func (n *neighbours) skip(count int) {
	if n.col += count; n.col >= n.cols {
		n.col %= n.cols
		n.changed = 0
	}
}

// note takes an element's magnitude and sign, and what the next two shall see
// to their left. It says whether a row ended.
func (n *neighbours) note(mag uint64, sign, left int64) (ended bool) {
	n.last += mag>>2 - n.last>>2
	n.row += mag>>5 - n.row>>5
	c := &n.columns[n.col+1]
	c.above, c.sign = mag, sign
	c.mean += mag>>3 - c.mean>>3
	n.left[1], n.left[0] = n.left[0], left
	if n.col++; n.col < n.cols {
		return false
	}
	n.col, n.changed = 0, 0
	return true
}
